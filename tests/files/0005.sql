CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0005');
CREATE TABLE consents (
    "key" INTEGER NOT NULL,
    execution_key INTEGER NOT NULL,
    id TEXT NOT NULL,
    status TEXT NOT NULL,
    opened INTEGER NOT NULL,
    auth_url TEXT NOT NULL,
    oauth_state TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    deadline_at INTEGER,
    closed_at INTEGER, provider TEXT, scopes TEXT CONSTRAINT consents_scopes_is_json CHECK (scopes IS NULL OR json_valid(scopes)), denial TEXT, attempts INTEGER, begun_by TEXT, state_sha256 BLOB, browser_sha256 BLOB, state_expires_at INTEGER, redirect_uri TEXT, verifier TEXT CONSTRAINT consents_verifier_is_for_one_use CHECK (verifier IS NULL OR (json_valid(verifier) AND status = 'pending')), lease INTEGER, token TEXT CONSTRAINT consents_token_is_granted CHECK (token IS NULL OR (json_valid(token) AND status = 'granted')),
    PRIMARY KEY ("key"),
    CONSTRAINT consents_id_is_unique_in_its_execution UNIQUE (execution_key, id),
    CONSTRAINT consents_status_is_known CHECK ((status = 'pending' OR status = 'exchanging' OR status = 'granted' OR status = 'denied' OR status = 'expired' OR status = 'withdrawn')),
    CONSTRAINT consents_closed_at_means_closed CHECK ((status = 'pending' OR status = 'exchanging') = (closed_at IS NULL)),
    FOREIGN KEY(execution_key) REFERENCES executions ("key") ON DELETE CASCADE
);
INSERT INTO "consents" VALUES(1,8,'01a3185c-5000-7602-bde2-9c9104062619','pending',17,'https://provider.example/authorize','state 1',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "consents" VALUES(2,9,'01a3185c-5000-75c2-9f33-4a08c7a47502','pending',20,'https://provider.example/authorize','state 2',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE erasures (
    sequence INTEGER NOT NULL,
    ordered INTEGER NOT NULL,
    PRIMARY KEY (sequence)
);
CREATE TABLE executions (
    "key" INTEGER NOT NULL,
    id TEXT NOT NULL,
    status TEXT NOT NULL,
    version INTEGER NOT NULL,
    open_waits INTEGER NOT NULL,
    workflow TEXT,
    owner TEXT,
    lease INTEGER,
    created_at INTEGER NOT NULL,
    completed_at INTEGER,
    expires_at INTEGER,
    hold TEXT,
    result TEXT,
    error TEXT,
    error_code TEXT, secrets INTEGER, priority INTEGER DEFAULT 0 NOT NULL,
    PRIMARY KEY ("key"),
    CONSTRAINT executions_id_is_unique UNIQUE (id),
    CONSTRAINT executions_status_is_known CHECK ((status = 'running' OR status = 'interaction_required' OR status = 'oauth_required' OR status = 'completed' OR status = 'failed' OR status = 'cancelled')),
    CONSTRAINT executions_completed_at_means_ended CHECK ((completed_at IS NOT NULL) = (status = 'completed' OR status = 'failed' OR status = 'cancelled')),
    CONSTRAINT executions_only_ended_ones_expire CHECK (expires_at IS NULL OR completed_at IS NOT NULL),
    CONSTRAINT executions_paused_means_open_waits CHECK ((open_waits > 0) = (status = 'interaction_required' OR status = 'oauth_required')),
    CONSTRAINT executions_result_is_json CHECK (result IS NULL OR json_valid(result))
);
INSERT INTO "executions" VALUES(1,'01a3185c-5000-75bb-b7e4-775d99b2771a','running',1,0,'running','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0);
INSERT INTO "executions" VALUES(2,'01a3185c-5000-72b5-964c-5eae36d07d3f','interaction_required',2,1,'asks text','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0);
INSERT INTO "executions" VALUES(3,'01a3185c-5000-7051-b63b-d1eefbf2b3ab','interaction_required',2,1,'asks notification','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0);
INSERT INTO "executions" VALUES(4,'01a3185c-5000-7c07-963f-d056b5b972c7','interaction_required',2,1,'asks binary_choice','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0);
INSERT INTO "executions" VALUES(5,'01a3185c-5000-7832-b4f4-0bb0cddcd158','interaction_required',2,1,'asks radio','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0);
INSERT INTO "executions" VALUES(6,'01a3185c-5000-7350-bf80-76564c3e2347','interaction_required',2,1,'asks checkbox','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0);
INSERT INTO "executions" VALUES(7,'01a3185c-5000-7f79-a993-a4addabd93f5','interaction_required',2,1,'asks dropdown','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0);
INSERT INTO "executions" VALUES(8,'01a3185c-5000-7ab4-9379-a63c97eb6ec0','interaction_required',5,2,'asks several','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0);
INSERT INTO "executions" VALUES(9,'01a3185c-5000-7083-acdf-3fc590cebdc3','oauth_required',2,1,'consents','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0);
INSERT INTO "executions" VALUES(10,'01a3185c-5000-7502-a3f2-73c7f2c95c1a','completed',2,0,'completed','ada',NULL,1800000000000,1800000000000,1800000600000,NULL,'{"price":[1,2.5,null,"é"]}',NULL,NULL,NULL,0);
INSERT INTO "executions" VALUES(11,'01a3185c-5000-7a19-af1c-423d509e2c58','completed',2,0,'held','ada',NULL,1800000000000,1800000000000,1800000600000,'an audit','"held"',NULL,NULL,NULL,0);
INSERT INTO "executions" VALUES(12,'01a3185c-5000-7868-a068-4ca1cb8fabfe','failed',2,0,'failed','ada',NULL,1800000000000,1800000000000,NULL,NULL,NULL,'It failed.','planned',NULL,0);
INSERT INTO "executions" VALUES(13,'01a3185c-5000-757e-b747-da1dcbe47853','cancelled',3,0,'cancelled','ada',NULL,1800000000000,1800000000000,1800000600000,NULL,NULL,NULL,NULL,NULL,0);
INSERT INTO "executions" VALUES(14,'01a3185c-5000-7f22-a32a-7b6b081c4852','interaction_required',4,1,'paused.refund','bob',NULL,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0);
INSERT INTO "executions" VALUES(15,'01a3185c-5000-7811-9265-94c252a543b5','interaction_required',4,1,'paused.parallel','bob',NULL,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0);
INSERT INTO "executions" VALUES(16,'01a3185c-5000-7ac5-8787-ff2014eb32e4','running',1,0,'paused.asleep','bob',NULL,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0);
CREATE TABLE history (
    sequence INTEGER NOT NULL,
    execution_id TEXT,
    event TEXT NOT NULL,
    wait_id TEXT,
    from_status TEXT,
    to_status TEXT,
    actor TEXT,
    cause TEXT,
    time INTEGER NOT NULL,
    detail TEXT,
    detail_sha256 BLOB,
    digest BLOB NOT NULL,
    PRIMARY KEY (sequence),
    CONSTRAINT history_digest_is_sha256 CHECK (length(digest) = 32),
    CONSTRAINT history_detail_is_hashed CHECK (detail IS NULL OR detail_sha256 IS NOT NULL)
);
INSERT INTO "history" VALUES(1,'01a3185c-5000-75bb-b7e4-775d99b2771a','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"running","owner":"ada"}',X'29EAE50C4B0E449B87519C9BF4AC8D61082DDD9B81EA99DC3C7B4624EBD3FD50',X'AEADF6CBF2A8B1085692D95417EAC46C5EFDC180FFEE162D4061D266026F5E8F');
INSERT INTO "history" VALUES(2,'01a3185c-5000-72b5-964c-5eae36d07d3f','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"asks text","owner":"ada"}',X'0FE8C861B445585011CA93295184F78CEB61DD212A0CF608B2B5D7CE64E7493E',X'9339C3B19DF3C7602DFCD59CCFCED7BB53A2E1EFFF2AB91E36E10973CAF4A132');
INSERT INTO "history" VALUES(3,'01a3185c-5000-72b5-964c-5eae36d07d3f','interaction_asked','01a3185c-5000-7d64-904e-681e36ad5718','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"What is your name?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}}',X'B2A2084F980F08BD1DCCB18407339FF01B0CD240083208BF0947449B9408EA30',X'8586A9953A60A362B496F530168379CA7B6BB763FB9D389FC12FFC4D1085E340');
INSERT INTO "history" VALUES(4,'01a3185c-5000-7051-b63b-d1eefbf2b3ab','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"asks notification","owner":"ada"}',X'0B33ED6E5C98A06597EC3F5220E20E8B637A6B0917EB3BB341A96BE4E7C71DEF',X'263604B47C0AB0777ECAD5CF585ADC603459DD9C679C9D40B75CA90177F9F222');
INSERT INTO "history" VALUES(5,'01a3185c-5000-7051-b63b-d1eefbf2b3ab','interaction_asked','01a3185c-5000-75e0-a7b7-378baeaa73f4','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"The report is ready.","timeout":null,"error":null,"input_type":"notification"}}',X'5511A5E12E64889D122C8EEAC74EDEE5218053B28A27B5BD7EEEA876079EF9FD',X'832DA7A605DBE3938A2352726526FC9ADDE3FF7F286693045081ABE019F1B466');
INSERT INTO "history" VALUES(6,'01a3185c-5000-7c07-963f-d056b5b972c7','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"asks binary_choice","owner":"ada"}',X'90C02E3B32BCC1D07CE2005F65A9F5242E74618890ADF8E03152F61639EE903D',X'08900B7A95D5B83AB2D7DD64425AE1653BF092ED456409A09B19F6845700E5FF');
INSERT INTO "history" VALUES(7,'01a3185c-5000-7c07-963f-d056b5b972c7','interaction_asked','01a3185c-5000-78a8-91f0-364d1c73f5ff','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"Go on?","timeout":null,"error":null,"input_type":"binary_choice","options":[{"id":"yes","label":"Yes","value":true},{"id":"no","label":"No","value":false}]}}',X'395DA07F90CAE6D0BFEEFB7E987EC9B068E12296FE04FCF8FAE3D732CD74F36A',X'9A2A9200C12A336EB6727A6A2FEC855AE66E9E1F57466DCF8443DA77BA9DE395');
INSERT INTO "history" VALUES(8,'01a3185c-5000-7832-b4f4-0bb0cddcd158','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"asks radio","owner":"ada"}',X'0ECBD5EDAF9E2D9D8837A3634323D11334188766C2B8A3589E288E7AA45DE338',X'35D13A89877BFF0F738FC7D3627B04F5FFD52875C541A52E9B79BF09F2784C7B');
INSERT INTO "history" VALUES(9,'01a3185c-5000-7832-b4f4-0bb0cddcd158','interaction_asked','01a3185c-5000-770f-a730-db49f111aab9','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"How?","timeout":null,"error":null,"options":[{"id":"mail","label":"E-mail","value":"mail","description":"default"},{"id":"call","label":"Call","value":"call","description":"default"}],"input_type":"radio"}}',X'1B06EE8B790244DEE058959CC31908AD7A7433EE3E5B9BC19A11929C3BE666BD',X'66BD3DE209BE6A170A74CC5EEECE041BCE5FBFA670B36A85D6401E3156742AD0');
INSERT INTO "history" VALUES(10,'01a3185c-5000-7350-bf80-76564c3e2347','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"asks checkbox","owner":"ada"}',X'C1F4F741FF01C5AC17D06D7280E47C78EEB0B6355646C2521C851D1D6A3EB328',X'B9B34D86DE3F649A304EE867E7F4F14E6B28F43F914A667002EAD9020E852943');
INSERT INTO "history" VALUES(11,'01a3185c-5000-7350-bf80-76564c3e2347','interaction_asked','01a3185c-5000-7598-b257-e661046ab3f9','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"How?","timeout":null,"error":null,"options":[{"id":"mail","label":"E-mail","value":"mail","description":"default"},{"id":"call","label":"Call","value":"call","description":"default"}],"input_type":"checkbox"}}',X'BC3F1CB255202DF93FC26E572CCF9A880456A5EE1F600428F4592B3D1A9B18D8',X'0958B869AF4BF3091DE400BD366A8F09490B0D48F51B4AD024F57CF868430864');
INSERT INTO "history" VALUES(12,'01a3185c-5000-7f79-a993-a4addabd93f5','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"asks dropdown","owner":"ada"}',X'064B9D1D7A93D13429733A0F15458E218DB81FDE8E5D833CAE848343275B137C',X'941410C9DA41949BBA424DA43946DDD8314880F94917B79FBFF9A53CC26076C9');
INSERT INTO "history" VALUES(13,'01a3185c-5000-7f79-a993-a4addabd93f5','interaction_asked','01a3185c-5000-7aaa-9ae9-46b950f388b5','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"How?","timeout":null,"error":null,"options":[{"id":"mail","label":"E-mail","value":"mail","description":"default"},{"id":"call","label":"Call","value":"call","description":"default"}],"input_type":"dropdown"}}',X'90D6E07365CF6693622F1070C4801EF320C883CA9B22D30D4621BDAC9E0784F9',X'2294C2FCE0F457D081D6FBAB685ECBBF9D2F9D1F2257E5489E40E1B83534E65B');
INSERT INTO "history" VALUES(14,'01a3185c-5000-7ab4-9379-a63c97eb6ec0','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"asks several","owner":"ada"}',X'B2E94E22E22893AC3F80125EA659536BCC8E8AD85B509E406F8F737512194D0D',X'F6F2DD26B3A9C4D4C63E01AF56D4B53A410B38342DE4A7ED9EADFD0C449787CF');
INSERT INTO "history" VALUES(15,'01a3185c-5000-7ab4-9379-a63c97eb6ec0','interaction_asked','first','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"What is your name?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}}',X'B2A2084F980F08BD1DCCB18407339FF01B0CD240083208BF0947449B9408EA30',X'E8CEA61BD53E82F4522AE982198C14BD2DA63399CF66AECCA1FF3D1BCF4CCB3F');
INSERT INTO "history" VALUES(16,'01a3185c-5000-7ab4-9379-a63c97eb6ec0','interaction_asked','second','interaction_required','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"Go on?","timeout":null,"error":null,"input_type":"binary_choice","options":[{"id":"yes","label":"Yes","value":true},{"id":"no","label":"No","value":false}]}}',X'395DA07F90CAE6D0BFEEFB7E987EC9B068E12296FE04FCF8FAE3D732CD74F36A',X'610FF9AEDF158BF8BC0BDC1801ED3F5BE6E1479282FB063C7C589C2CA59BB76C');
INSERT INTO "history" VALUES(17,'01a3185c-5000-7ab4-9379-a63c97eb6ec0','consent_asked','01a3185c-5000-7602-bde2-9c9104062619','interaction_required','interaction_required',NULL,NULL,1800000000000,NULL,NULL,X'F21AFB9F2DD95D1BC2ACACDE2E54AF3B1E4F3F823153B5E020E261B448AF361F');
INSERT INTO "history" VALUES(18,'01a3185c-5000-7ab4-9379-a63c97eb6ec0','interaction_answered','first','interaction_required','interaction_required','grace',NULL,1800000000000,'{"response":{"type":"text","text":"Ada"}}',X'D9C0036DED1D58CC269160D399D37E08BD20369D2E0CC435C24C823554B8AE52',X'9CB5D3C710A0A6B7ED773CC55D8198B9931B28B31D779B8C04F1E5B1F0A9A45C');
INSERT INTO "history" VALUES(19,'01a3185c-5000-7083-acdf-3fc590cebdc3','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"consents","owner":"ada"}',X'5E344D88E4C16D07E52220D429155F4B975BE51BE4E190C0BFF16857769DCEE4',X'903BE6073A8E402EB45EF55416DD4B9B4AE6CDE4064FEB74CB48117A59ABE94F');
INSERT INTO "history" VALUES(20,'01a3185c-5000-7083-acdf-3fc590cebdc3','consent_asked','01a3185c-5000-75c2-9f33-4a08c7a47502','running','oauth_required',NULL,NULL,1800000000000,NULL,NULL,X'097465BC2D10FB05A00951F52B94FCCB9F05E52527E8F6C9CD2CC26E8EAA0C24');
INSERT INTO "history" VALUES(21,'01a3185c-5000-7502-a3f2-73c7f2c95c1a','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"completed","owner":"ada"}',X'621AA87ED460C0E333DB418353863ED7613B0BB97EB3B9D7421C5CABC0E110A4',X'F46A33BC1FB4819CE3FCA4FBA82FA23706964A39E19C97571C4B36DE8E2CA568');
INSERT INTO "history" VALUES(22,'01a3185c-5000-7502-a3f2-73c7f2c95c1a','execution_completed',NULL,'running','completed',NULL,NULL,1800000000000,NULL,X'A41F7FAF3D298A56DD8960EDDAA3EC31FF033750D7FD8147CFFAC12AC44C035F',X'49A18D415ED26A805D9080D67D2501B64C52C15EB36C85F8114448F166C150EA');
INSERT INTO "history" VALUES(23,'01a3185c-5000-7a19-af1c-423d509e2c58','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"held","owner":"ada"}',X'5EE31D19A260912F3D1356AB82EE55ADFA60D8231B7E5FE029ADF2EBB909A76D',X'AD060EB8831BD0AFD8C949DA2EC95D00D16D6B2349C143A972B2681A2ACB3E77');
INSERT INTO "history" VALUES(24,'01a3185c-5000-7a19-af1c-423d509e2c58','execution_completed',NULL,'running','completed',NULL,NULL,1800000000000,NULL,X'FCD86AC6B458C22662F923D21C3E8AE570DEE43713FDAEDC2A1E3BA47F95992B',X'C4B6DB010EB6AEA49B87CC5F338BE2CF9A4554D6808A22010E8CF59A128E757C');
INSERT INTO "history" VALUES(25,'01a3185c-5000-7a19-af1c-423d509e2c58','execution_held',NULL,'completed','completed','otto','an audit',1800000000000,NULL,NULL,X'14E3372C47C49561408C97B3513FCCE60F1B831F76B324DB335B7494286E458C');
INSERT INTO "history" VALUES(26,'01a3185c-5000-7868-a068-4ca1cb8fabfe','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"failed","owner":"ada"}',X'721FEA088894166B82BCA4116D5A003892F6137D57ACCB49A5BDC19B458AB095',X'BFB806722C0CDAD70F66082AB692DCB33F0174DB06FC3A61918C9468F7262CC4');
INSERT INTO "history" VALUES(27,'01a3185c-5000-7868-a068-4ca1cb8fabfe','execution_failed',NULL,'running','failed',NULL,NULL,1800000000000,'{"error":"It failed.","code":"planned"}',X'8E98F618CB5674EC65A73EE16E02BD1B3E560594CA6543CC2B8477FB4BE2DB99',X'CA89E3D8B8EE35B3A802591D7B3C2D2BBAA0A9D27886E718B9D43EAE2DA90471');
INSERT INTO "history" VALUES(28,'01a3185c-5000-757e-b747-da1dcbe47853','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"cancelled","owner":"ada"}',X'3540840F0B8001DE8FE4E27B702608EF39AEEDE55FCB3EF99D47A155FC434718',X'3D3DBDE0CC41F67FE48AB88D7A7E3BD0C4B3D1B5AC7E7420F9FD26CA0176A307');
INSERT INTO "history" VALUES(29,'01a3185c-5000-757e-b747-da1dcbe47853','interaction_asked','01a3185c-5000-73c0-9046-0445f104bc26','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"What is your name?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}}',X'B2A2084F980F08BD1DCCB18407339FF01B0CD240083208BF0947449B9408EA30',X'AF0A8BA55B4376E6ED7A40E8CDEFFDC6106203554B16C734D3A140618470276E');
INSERT INTO "history" VALUES(30,'01a3185c-5000-757e-b747-da1dcbe47853','execution_cancelled',NULL,'interaction_required','cancelled','ada','enough',1800000000000,NULL,NULL,X'AEC191DD4B9E18C9D3BD9A863A64FBDB5F7094562513E46B5FB64E841DC63A16');
INSERT INTO "history" VALUES(31,'01a3185c-5000-757e-b747-da1dcbe47853','interaction_withdrawn','01a3185c-5000-73c0-9046-0445f104bc26','cancelled','cancelled','ada','execution cancelled',1800000000000,NULL,NULL,X'3169A9FCC3CE1D6996E640B3F82315CF1C8A2B457644B30B408D6A78BC39CC91');
INSERT INTO "history" VALUES(32,'01a3185c-5000-7c04-bd9e-15252c40097f','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"removed","owner":"ada"}',X'C7BFF33DFC0EBAE8027EAAB6431E505A3A1A947A88924E8FBCF13B466E1B2F08',X'5278CB65C9ABC5D488E686085549A6E7225AD30C57901C89B61C7B80ABC645A5');
INSERT INTO "history" VALUES(33,'01a3185c-5000-7c04-bd9e-15252c40097f','execution_completed',NULL,'running','completed',NULL,NULL,1800000000000,NULL,X'74234E98AFE7498FB5DAF1F36AC2D78ACC339464F950703B8C019892F982B90B',X'EADEBEAD61A8E995252B38A5C47552F4C1F543A55E12CE3C8E010748DC2984DD');
INSERT INTO "history" VALUES(34,'01a3185c-5000-7c04-bd9e-15252c40097f','execution_removed',NULL,'completed',NULL,NULL,NULL,1800000000000,NULL,NULL,X'FA0C92BD5C5D7DC4ECD64AA91818225C53515CC951710ED195705B07A47FD0A0');
INSERT INTO "history" VALUES(35,'01a3185c-5000-7f22-a32a-7b6b081c4852','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"paused.refund","owner":"bob"}',X'3E0A647811ECDA1195E43708FB959766D802AAC9CAF32228240D7F3F94ABF1A6',X'AA390E78CB6B6D2036C785758784E032B8200B8FDBA7AD1DCE97D196EEEAA792');
INSERT INTO "history" VALUES(36,'01a3185c-5000-7811-9265-94c252a543b5','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"paused.parallel","owner":"bob"}',X'15C6885A988EFE98A310031367D9D5A3D52CE7B77710C9A6C1320AA181BCCF8F',X'FC0A0E74F42E47E154BF98DFA9AE1A7C14E0A817E789656D9011073E4FF064E8');
INSERT INTO "history" VALUES(37,'01a3185c-5000-7811-9265-94c252a543b5','interaction_asked','01a3185c-5000-7acd-a922-0766cd2162eb','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"Left?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true},"position":"1"}',X'6A4BAB402820F861B17C3D327688ACC93729C9C7C68F74AC276FFD3AAA5ECF02',X'5B920F54FC40D42796BDFBD9ED7AA91D4DE2ECF76FB443FEB1DC262E1BACAE56');
INSERT INTO "history" VALUES(38,'01a3185c-5000-7811-9265-94c252a543b5','interaction_asked','01a3185c-5000-7d06-96f5-defd13503be0','interaction_required','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"Right?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true},"position":"2"}',X'942642E8F696F94D9B455CD009B17A638CF52ABB6EC91E23BAE1BD647F27105F',X'D8D40F7332E436A6528622805B3CA0B07C5B6E0FC4AB83CC486EA57F30D35F24');
INSERT INTO "history" VALUES(39,'01a3185c-5000-7ac5-8787-ff2014eb32e4','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"paused.asleep","owner":"bob"}',X'75A0ABB8EB496D040890B74002208499AD8F36AD1C1FA888F72740A2D422B7ED',X'19C74D1A15F0C6224B665D00F4641CCDC4F1564946411DE76B0B6866172D15AC');
INSERT INTO "history" VALUES(40,'01a3185c-5000-7f22-a32a-7b6b081c4852','interaction_asked','01a3185c-5000-76ff-9890-98ec65fb9f95','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"Refund it?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true},"position":"2"}',X'EBB5F34B923B39773074CC1E8966AD951D5F65006132BEF32BC12D33A8DE7B4A',X'26B34FA5CEEBEC4D7CF6F6BEB1EE05567911F3E8FB3B169CE689566B98E32997');
INSERT INTO "history" VALUES(41,'01a3185c-5000-7f22-a32a-7b6b081c4852','interaction_answered','01a3185c-5000-76ff-9890-98ec65fb9f95','interaction_required','running',NULL,NULL,1800000000000,'{"response":{"type":"text","text":"Yes"}}',X'81BB75A9163C9087E6BAA956B06414EBD4EB2C4ECB044A9CF2DFD94A04C683CC',X'3752D04E9178963E0B56030E91172B9CF4E136EDE7FA00C5DEDE9588DEDA201B');
INSERT INTO "history" VALUES(42,'01a3185c-5000-7f22-a32a-7b6b081c4852','emitted',NULL,'running','running',NULL,NULL,1800000000000,'{"position":"3"}',X'8E966E08AF0AD169199A6805424E8A25F7977756101CDA707EEC502C5AF1879A',X'E51A8DD46A3D9766ECDA07B976FB70651949BD8BAAF72AC736E0B5F50F703E98');
INSERT INTO "history" VALUES(43,'01a3185c-5000-7f22-a32a-7b6b081c4852','notified',NULL,'running','running',NULL,NULL,1800000000000,'{"position":"4"}',X'A02A51D324EA523DFB1B227D5E524BF638BBB1925F0F372479388839BE4C4518',X'68EA074376BA47D28DD3F4FD63723A5F3A0548875DE72855CF5ACDCC7DA9DF60');
INSERT INTO "history" VALUES(44,'01a3185c-5000-7f22-a32a-7b6b081c4852','interaction_asked','01a3185c-5000-78e4-a5a3-ac94322c1b38','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"Why?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true},"assignees":["ada","group:finance"],"four_eyes":true,"position":"5"}',X'7E7FD0D1D1EBF5E5356217776A9FE21C26AA685FEEC0FA56099AF9B8502FCDAB',X'158C710A9DBB6FB2BBA6BDD870DC39E78015FF8CA819D64F127C9278D867B0E0');
INSERT INTO "history" VALUES(45,'01a3185c-5000-7811-9265-94c252a543b5','interaction_answered','01a3185c-5000-7acd-a922-0766cd2162eb','interaction_required','interaction_required',NULL,NULL,1800000000000,'{"response":{"type":"text","text":"L"}}',X'8F4A8C8A905145A1AB51E1CFEA8B71FB86497C134A2E1543917480233CAA0B4F',X'33F30AB6520FE9B62EB03343020C555E0644179593B0776DF8C9BDBD0F0CF146');
CREATE TABLE history_anchor (
    only INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    digest BLOB NOT NULL,
    PRIMARY KEY (only),
    CONSTRAINT history_anchor_is_one_row CHECK (only = 1),
    CONSTRAINT history_anchor_digest_is_sha256 CHECK (length(digest) = 32)
);
INSERT INTO "history_anchor" VALUES(1,0,X'0000000000000000000000000000000000000000000000000000000000000000');
CREATE TABLE interactions (
    "key" INTEGER NOT NULL,
    execution_key INTEGER NOT NULL,
    id TEXT NOT NULL,
    status TEXT NOT NULL,
    opened INTEGER NOT NULL,
    prompt TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    deadline_at INTEGER,
    closed_at INTEGER,
    response TEXT,
    answered_by TEXT, assignees TEXT, four_eyes INTEGER, on_deadline TEXT, default_response TEXT,
    PRIMARY KEY ("key"),
    CONSTRAINT interactions_id_is_unique_in_its_execution UNIQUE (execution_key, id),
    CONSTRAINT interactions_status_is_known CHECK ((status = 'pending' OR status = 'answered' OR status = 'expired' OR status = 'withdrawn')),
    CONSTRAINT interactions_answered_means_a_response CHECK ((status = 'answered') = (response IS NOT NULL)),
    CONSTRAINT interactions_closed_at_means_closed CHECK ((status = 'pending') = (closed_at IS NULL)),
    CONSTRAINT interactions_prompt_is_json CHECK (json_valid(prompt)),
    CONSTRAINT interactions_response_is_json CHECK (response IS NULL OR json_valid(response)),
    FOREIGN KEY(execution_key) REFERENCES executions ("key") ON DELETE CASCADE
);
INSERT INTO "interactions" VALUES(1,2,'01a3185c-5000-7d64-904e-681e36ad5718','pending',3,'{"text":"What is your name?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(2,3,'01a3185c-5000-75e0-a7b7-378baeaa73f4','pending',5,'{"text":"The report is ready.","timeout":null,"error":null,"input_type":"notification"}',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(3,4,'01a3185c-5000-78a8-91f0-364d1c73f5ff','pending',7,'{"text":"Go on?","timeout":null,"error":null,"input_type":"binary_choice","options":[{"id":"yes","label":"Yes","value":true},{"id":"no","label":"No","value":false}]}',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(4,5,'01a3185c-5000-770f-a730-db49f111aab9','pending',9,'{"text":"How?","timeout":null,"error":null,"options":[{"id":"mail","label":"E-mail","value":"mail","description":"default"},{"id":"call","label":"Call","value":"call","description":"default"}],"input_type":"radio"}',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(5,6,'01a3185c-5000-7598-b257-e661046ab3f9','pending',11,'{"text":"How?","timeout":null,"error":null,"options":[{"id":"mail","label":"E-mail","value":"mail","description":"default"},{"id":"call","label":"Call","value":"call","description":"default"}],"input_type":"checkbox"}',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(6,7,'01a3185c-5000-7aaa-9ae9-46b950f388b5','pending',13,'{"text":"How?","timeout":null,"error":null,"options":[{"id":"mail","label":"E-mail","value":"mail","description":"default"},{"id":"call","label":"Call","value":"call","description":"default"}],"input_type":"dropdown"}',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(7,8,'first','answered',15,'{"text":"What is your name?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}',1800000000000,NULL,1800000000000,'{"type":"text","text":"Ada"}','grace',NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(8,8,'second','pending',16,'{"text":"Go on?","timeout":null,"error":null,"input_type":"binary_choice","options":[{"id":"yes","label":"Yes","value":true},{"id":"no","label":"No","value":false}]}',1800000000000,1807776000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(9,13,'01a3185c-5000-73c0-9046-0445f104bc26','withdrawn',29,'{"text":"What is your name?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}',1800000000000,NULL,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(10,15,'01a3185c-5000-7acd-a922-0766cd2162eb','answered',37,'{"text":"Left?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}',1800000000000,1807776000000,1800000000000,'{"type":"text","text":"L"}',NULL,NULL,NULL,'fail',NULL);
INSERT INTO "interactions" VALUES(11,15,'01a3185c-5000-7d06-96f5-defd13503be0','pending',38,'{"text":"Right?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(12,14,'01a3185c-5000-76ff-9890-98ec65fb9f95','answered',40,'{"text":"Refund it?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}',1800000000000,NULL,1800000000000,'{"type":"text","text":"Yes"}',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(13,14,'01a3185c-5000-78e4-a5a3-ac94322c1b38','pending',44,'{"text":"Why?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}',1800000000000,NULL,NULL,NULL,NULL,'["ada","group:finance"]',1,NULL,NULL);
CREATE TABLE journal (
    execution_key INTEGER NOT NULL,
    position TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    result TEXT,
    recorded_at INTEGER NOT NULL, error TEXT, settled INTEGER, ordinal INTEGER, seen INTEGER,
    PRIMARY KEY (execution_key, position),
    CONSTRAINT journal_result_is_json CHECK (result IS NULL OR json_valid(result)),
    FOREIGN KEY(execution_key) REFERENCES executions ("key") ON DELETE CASCADE
)
 WITHOUT ROWID;
INSERT INTO "journal" VALUES(14,'1','step','priced','96d6e92f3506979b','8',1800000000000,NULL,38,1,0);
INSERT INTO "journal" VALUES(14,'2','ask','text','bc47e1cc074fbaa6','"01a3185c-5000-76ff-9890-98ec65fb9f95"',1800000000000,NULL,NULL,2,1);
INSERT INTO "journal" VALUES(14,'3','emit','data','811e41e444d0645d','{"price":8}',1800000000000,NULL,41,3,2);
INSERT INTO "journal" VALUES(14,'4','notify','notification','7c202b7df096b645','{"text":"Half of it is done.","timeout":null,"error":null,"input_type":"notification"}',1800000000000,NULL,42,4,3);
INSERT INTO "journal" VALUES(14,'5','ask','text','dc55d7455cfcb19f','"01a3185c-5000-78e4-a5a3-ac94322c1b38"',1800000000000,NULL,NULL,NULL,4);
INSERT INTO "journal" VALUES(15,'1','ask','text','46166b3303042d80','"01a3185c-5000-7acd-a922-0766cd2162eb"',1800000000000,NULL,NULL,NULL,0);
INSERT INTO "journal" VALUES(15,'2','ask','text','82e36f12e8efca86','"01a3185c-5000-7d06-96f5-defd13503be0"',1800000000000,NULL,NULL,NULL,0);
INSERT INTO "journal" VALUES(16,'1','sleep','sleep','9f05fa724980dc27','{"until":1800086400000}',1800000000000,NULL,NULL,NULL,0);
CREATE TABLE leases (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    started INTEGER,
    expires_at INTEGER NOT NULL
);
INSERT INTO "leases" VALUES(1,'elsewhere',1,1,1800000030000);
CREATE TABLE runs (
    execution_key INTEGER NOT NULL,
    version INTEGER NOT NULL,
    input TEXT NOT NULL,
    ready INTEGER NOT NULL,
    lease INTEGER,
    epoch INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    wake_at INTEGER,
    problem TEXT,
    trace TEXT,
    start_sha256 BLOB,
    request_sha256 BLOB,
    PRIMARY KEY (execution_key),
    CONSTRAINT runs_ready_is_yes_or_no CHECK (ready = 0 OR ready = 1),
    CONSTRAINT runs_input_is_json CHECK (json_valid(input)),
    CONSTRAINT runs_trace_is_json CHECK (trace IS NULL OR json_valid(trace)),
    FOREIGN KEY(execution_key) REFERENCES executions ("key") ON DELETE CASCADE
);
INSERT INTO "runs" VALUES(14,1,'"an order"',1,1,1,0,NULL,NULL,NULL,X'8BFBA54FB433E2C473ECF435C9AF08047C9704D1141C98867458C614E7CDF9FF',X'E570021F4BA22E9484A058A6007BDF6A58FD7AB23B0453C37335276A2B1418AA');
INSERT INTO "runs" VALUES(15,1,'"an order"',1,1,1,0,NULL,NULL,NULL,X'E4DD2C839226A8D67B24D2974128D627DE4BE62F142EAFE06E5C980FA436533B',X'D96C1BD144DEC0A49710E7F3C4869C64A29C3843048DB2145ED7DAD008971547');
INSERT INTO "runs" VALUES(16,1,'"an order"',0,1,1,0,NULL,NULL,NULL,X'E389CC2320B105AE1426E8F11C59922923EC1C603A1B3F74084229F94F45143A',X'89DCF043617306AF75C5A4805E60D2302E774C4272B0BCFCCE6ECE6DB7F43D4B');
CREATE TABLE settings (
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (name),
    CONSTRAINT settings_value_is_json CHECK (json_valid(value))
)
 WITHOUT ROWID;
INSERT INTO "settings" VALUES('times_to_live','{"statuses":{"completed":600000,"failed":null},"workflows":{}}',1800000000000);
CREATE INDEX executions_to_sweep ON executions (expires_at) WHERE expires_at IS NOT NULL AND hold IS NULL;
CREATE INDEX history_of_execution ON history (execution_id) WHERE execution_id IS NOT NULL;
CREATE INDEX consents_open ON consents (deadline_at) WHERE status IN ('pending', 'exchanging');
CREATE INDEX interactions_open ON interactions (deadline_at) WHERE status = 'pending';
CREATE TRIGGER executions_move_as_the_lifecycle_allows BEFORE UPDATE ON executions WHEN NEW.key IS NOT OLD.key OR NEW.id IS NOT OLD.id OR NEW.created_at IS NOT OLD.created_at OR (OLD.status <> NEW.status AND NOT (OLD.status = 'running' AND (NEW.status = 'interaction_required' OR NEW.status = 'oauth_required' OR NEW.status = 'completed' OR NEW.status = 'failed' OR NEW.status = 'cancelled') OR OLD.status = 'interaction_required' AND (NEW.status = 'oauth_required' OR NEW.status = 'running' OR NEW.status = 'failed' OR NEW.status = 'cancelled') OR OLD.status = 'oauth_required' AND (NEW.status = 'interaction_required' OR NEW.status = 'running' OR NEW.status = 'failed' OR NEW.status = 'cancelled'))) OR ((OLD.status = 'completed' OR OLD.status = 'failed' OR OLD.status = 'cancelled') AND (NEW.status IS NOT OLD.status OR NEW.completed_at IS NOT OLD.completed_at OR NEW.result IS NOT OLD.result OR NEW.error IS NOT OLD.error OR NEW.error_code IS NOT OLD.error_code)) BEGIN SELECT RAISE(ABORT, 'illegal transition of an execution, or a change of what stays'); END;
CREATE TRIGGER executions_begin_at_the_beginning BEFORE INSERT ON executions WHEN NEW.status <> 'running' OR EXISTS (SELECT 1 FROM executions WHERE key = NEW.key) OR EXISTS (SELECT 1 FROM executions WHERE id = NEW.id) BEGIN SELECT RAISE(ABORT, 'an execution begins as running, with a key and an id of its own'); END;
CREATE TRIGGER interactions_begin_at_the_beginning BEFORE INSERT ON interactions WHEN NEW.status <> 'pending' OR EXISTS (SELECT 1 FROM interactions WHERE key = NEW.key) OR EXISTS (SELECT 1 FROM interactions WHERE execution_key = NEW.execution_key AND id = NEW.id) BEGIN SELECT RAISE(ABORT, 'an interaction begins as pending, with a key and an id of its own'); END;
CREATE TRIGGER consents_begin_at_the_beginning BEFORE INSERT ON consents WHEN NEW.status <> 'pending' OR EXISTS (SELECT 1 FROM consents WHERE key = NEW.key) OR EXISTS (SELECT 1 FROM consents WHERE execution_key = NEW.execution_key AND id = NEW.id) BEGIN SELECT RAISE(ABORT, 'a consent begins as pending, with a key and an id of its own'); END;
CREATE TRIGGER executions_live_ones_stay BEFORE DELETE ON executions WHEN NOT (OLD.status = 'completed' OR OLD.status = 'failed' OR OLD.status = 'cancelled') BEGIN SELECT RAISE(ABORT, 'an execution that has not ended cannot be deleted'); END;
CREATE TRIGGER history_is_only_appended_to BEFORE INSERT ON history WHEN NEW.sequence IS NOT 1 + coalesce((SELECT max(sequence) FROM history), (SELECT sequence FROM history_anchor)) BEGIN SELECT RAISE(ABORT, 'history is append-only'); END;
CREATE TRIGGER history_goes_only_by_retention BEFORE DELETE ON history WHEN OLD.sequence > (SELECT sequence FROM history_anchor) BEGIN SELECT RAISE(ABORT, 'history is append-only'); END;
CREATE TRIGGER history_anchor_moves_only_forward BEFORE UPDATE ON history_anchor WHEN NEW.sequence <= OLD.sequence OR NEW.sequence >= (SELECT max(sequence) FROM history) OR NEW.digest IS NOT (SELECT digest FROM history WHERE sequence = NEW.sequence) BEGIN SELECT RAISE(ABORT, 'the anchor moves forward, to a row of history'); END;
CREATE TRIGGER interactions_go_with_their_execution BEFORE DELETE ON interactions WHEN EXISTS (SELECT 1 FROM executions WHERE key = OLD.execution_key) BEGIN SELECT RAISE(ABORT, 'what was asked goes only with its execution'); END;
CREATE TRIGGER consents_go_with_their_execution BEFORE DELETE ON consents WHEN EXISTS (SELECT 1 FROM executions WHERE key = OLD.execution_key) BEGIN SELECT RAISE(ABORT, 'what was asked goes only with its execution'); END;
CREATE TRIGGER history_anchor_is_not_replaced BEFORE INSERT ON history_anchor WHEN EXISTS (SELECT 1 FROM history_anchor) BEGIN SELECT RAISE(ABORT, 'there is one anchor of the history'); END;
CREATE TRIGGER history_anchor_stays BEFORE DELETE ON history_anchor BEGIN SELECT RAISE(ABORT, 'the anchor of the history stays'); END;
CREATE VIEW execution_history AS SELECT sequence, execution_id, event, wait_id, from_status, to_status, actor, cause, strftime('%Y-%m-%dT%H:%M:%fZ', time / 1000.0, 'unixepoch') AS at, time AS at_ms, detail, lower(hex(digest)) AS digest FROM history;
CREATE INDEX runs_asleep ON runs (wake_at) WHERE wake_at IS NOT NULL;
CREATE INDEX runs_claimed ON runs (lease) WHERE lease IS NOT NULL;
CREATE INDEX runs_ready ON runs (execution_key) WHERE ready = 1 AND lease IS NULL;
CREATE UNIQUE INDEX runs_start_is_unique ON runs (start_sha256) WHERE start_sha256 IS NOT NULL;
CREATE INDEX runs_with_a_problem ON runs (execution_key) WHERE problem IS NOT NULL;
CREATE INDEX consents_leased ON consents (lease) WHERE lease IS NOT NULL;
CREATE INDEX consents_sealed ON consents ("key") WHERE verifier IS NOT NULL OR token IS NOT NULL;
CREATE UNIQUE INDEX consents_state_is_unique ON consents (state_sha256) WHERE state_sha256 IS NOT NULL;
CREATE TRIGGER consents_move_as_the_lifecycle_allows BEFORE UPDATE ON consents WHEN NEW.key IS NOT OLD.key OR NEW.id IS NOT OLD.id OR NEW.execution_key IS NOT OLD.execution_key OR NEW.opened IS NOT OLD.opened OR NEW.created_at IS NOT OLD.created_at OR NEW.provider IS NOT OLD.provider OR NEW.scopes IS NOT OLD.scopes OR (OLD.status <> NEW.status AND NOT (OLD.status = 'pending' AND (NEW.status = 'exchanging' OR NEW.status = 'denied' OR NEW.status = 'expired' OR NEW.status = 'withdrawn') OR OLD.status = 'exchanging' AND (NEW.status = 'pending' OR NEW.status = 'granted' OR NEW.status = 'denied' OR NEW.status = 'expired' OR NEW.status = 'withdrawn'))) OR ((OLD.status = 'granted' OR OLD.status = 'denied' OR OLD.status = 'expired' OR OLD.status = 'withdrawn') AND (NEW.status IS NOT OLD.status OR NEW.closed_at IS NOT OLD.closed_at OR NEW.denial IS NOT OLD.denial OR NEW.begun_by IS NOT OLD.begun_by)) BEGIN SELECT RAISE(ABORT, 'illegal transition of a consent, or a change of what stays'); END;
CREATE VIEW open_waits AS SELECT e.id AS execution_id, e.workflow, e.owner, w.kind, w.id AS wait_id, w.text, strftime('%Y-%m-%dT%H:%M:%fZ', w.created_at / 1000.0, 'unixepoch') AS asked_at, strftime('%Y-%m-%dT%H:%M:%fZ', w.deadline_at / 1000.0, 'unixepoch') AS deadline, w.deadline_at AS deadline_ms, w.assignees FROM (SELECT 'interaction' AS kind, execution_key, id, opened, created_at, deadline_at, json_extract(prompt, '$.text') AS text, assignees FROM interactions WHERE status = 'pending' UNION ALL SELECT 'consent', execution_key, id, opened, created_at, deadline_at, coalesce(provider, auth_url), NULL FROM consents WHERE status IN ('pending', 'exchanging')) AS w JOIN executions AS e ON e.key = w.execution_key;
CREATE INDEX history_of_file ON history (event) WHERE execution_id IS NULL;
CREATE TRIGGER interactions_move_as_the_lifecycle_allows BEFORE UPDATE ON interactions WHEN NEW.key IS NOT OLD.key OR NEW.id IS NOT OLD.id OR NEW.execution_key IS NOT OLD.execution_key OR NEW.opened IS NOT OLD.opened OR NEW.created_at IS NOT OLD.created_at OR NEW.assignees IS NOT OLD.assignees OR NEW.four_eyes IS NOT OLD.four_eyes OR NEW.on_deadline IS NOT OLD.on_deadline OR (OLD.status <> NEW.status AND NOT (OLD.status = 'pending' AND (NEW.status = 'answered' OR NEW.status = 'expired' OR NEW.status = 'withdrawn'))) OR ((OLD.status = 'answered' OR OLD.status = 'expired' OR OLD.status = 'withdrawn') AND (NEW.status IS NOT OLD.status OR NEW.answered_by IS NOT OLD.answered_by OR NEW.closed_at IS NOT OLD.closed_at)) OR (NEW.status = 'answered' AND OLD.four_eyes = 1 AND NEW.answered_by = (SELECT owner FROM executions WHERE key = OLD.execution_key)) OR ((NEW.prompt IS NOT OLD.prompt OR NEW.default_response IS NOT OLD.default_response OR (OLD.status <> 'pending' AND NEW.response IS NOT OLD.response)) AND (OLD.status = 'pending' OR NOT EXISTS (SELECT 1 FROM history JOIN erasures USING (sequence) WHERE wait_id = OLD.id AND execution_id = (SELECT id FROM executions WHERE key = OLD.execution_key)))) BEGIN SELECT RAISE(ABORT, 'illegal transition of an interaction, or a change of what stays'); END;
CREATE VIEW answers AS SELECT a.execution_id, a.wait_id AS interaction_id, a.actor AS answered_by, strftime('%Y-%m-%dT%H:%M:%fZ', a.time / 1000.0, 'unixepoch') AS answered_at, a.time AS answered_ms, strftime('%Y-%m-%dT%H:%M:%fZ', q.time / 1000.0, 'unixepoch') AS asked_at, a.time - q.time AS waited_ms, json_extract(q.detail, '$.prompt') AS prompt, json_extract(a.detail, '$.response') AS response, a.sequence, strftime('%Y-%m-%dT%H:%M:%fZ', a.time / 1000.0, 'unixepoch') AS at, a.time AS at_ms, json_extract(c.detail, '$.workflow') AS workflow, json_extract(c.detail, '$.owner') AS owner, json_extract(q.detail, '$.prompt.text') AS question, json_extract(q.detail, '$.position') AS position, coalesce(json_extract(a.detail, '$.response.selected_option.label'), (SELECT group_concat(json_extract(value, '$.label'), ', ') FROM json_each(a.detail, '$.response.selected_options')), json_extract(a.detail, '$.response.text')) AS decision, CASE WHEN json_type(a.detail, '$.response.selected_option.value') = 'true' THEN 1 WHEN json_type(a.detail, '$.response.selected_option.value') = 'false' THEN 0 WHEN lower(json_extract(a.detail, '$.response.selected_option.id')) IN ('yes', 'y', 'true', 'ok', 'approve', 'approved', 'accept', 'allow', 'confirm', 'continue', 'grant') OR lower(json_extract(a.detail, '$.response.selected_option.value')) IN ('yes', 'y', 'true', 'ok', 'approve', 'approved', 'accept', 'allow', 'confirm', 'continue', 'grant') THEN 1 WHEN lower(json_extract(a.detail, '$.response.selected_option.id')) IN ('no', 'n', 'false', 'cancel', 'reject', 'rejected', 'decline', 'deny', 'denied', 'refuse', 'stop') OR lower(json_extract(a.detail, '$.response.selected_option.value')) IN ('no', 'n', 'false', 'cancel', 'reject', 'rejected', 'decline', 'deny', 'denied', 'refuse', 'stop') THEN 0 END AS approved, coalesce(a.cause = 'deadline', 0) AS by_default, json_extract(q.detail, '$.assignees') AS assignees, coalesce(json_extract(q.detail, '$.four_eyes'), 0) AS four_eyes, json_extract(a.detail, '$.authority') AS authority, json_extract(a.detail, '$.groups') AS actor_groups, json_extract(a.detail, '$.roles') AS actor_roles FROM history AS a LEFT JOIN history AS q ON q.execution_id = a.execution_id AND q.wait_id = a.wait_id AND q.event = 'interaction_asked' LEFT JOIN history AS c ON c.execution_id = a.execution_id AND c.event = 'execution_created' WHERE a.event = 'interaction_answered';
CREATE VIEW audit_contract AS SELECT 1 AS version;
CREATE VIEW approvals AS SELECT sequence, at, at_ms, execution_id, workflow, owner, question, decision, approved, answered_by AS approved_by, authority, by_default, interaction_id FROM answers WHERE coalesce(json_extract(response, '$.type'), '') NOT IN ('text', 'notification');
CREATE VIEW execution_timeline AS SELECT h.sequence, strftime('%Y-%m-%dT%H:%M:%fZ', h.time / 1000.0, 'unixepoch') AS at, h.time AS at_ms, h.execution_id, h.time - c.time AS after_ms, h.event, h.to_status AS status, h.actor, h.cause, coalesce(json_extract(h.detail, '$.prompt.text'), json_extract(h.detail, '$.error'), json_extract(h.detail, '$.problem'), coalesce(json_extract(h.detail, '$.response.selected_option.label'), (SELECT group_concat(json_extract(value, '$.label'), ', ') FROM json_each(h.detail, '$.response.selected_options')), json_extract(h.detail, '$.response.text')), h.cause) AS about, h.wait_id, h.detail FROM history AS h LEFT JOIN history AS c ON c.execution_id = h.execution_id AND c.event = 'execution_created' WHERE h.execution_id IS NOT NULL UNION ALL SELECT s.sequence, strftime('%Y-%m-%dT%H:%M:%fZ', s.time / 1000.0, 'unixepoch') AS at, s.time AS at_ms, gone.value, s.time - c.time, 'swept', NULL, s.actor, s.cause, s.cause, NULL, NULL FROM history AS s JOIN json_each(s.detail, '$.execution_ids') AS gone LEFT JOIN history AS c ON c.execution_id = gone.value AND c.event = 'execution_created' WHERE s.execution_id IS NULL AND s.event = 'swept';
CREATE VIEW answers_by_others AS SELECT sequence, at, at_ms, execution_id, workflow, owner, question, assignees, answered_by, authority, actor_groups, CASE WHEN authority = 'operator' THEN 'an operator stepped in' WHEN authority IS NOT NULL THEN 'not an assignee, and in none of the groups' WHEN assignees LIKE '%"group:%' THEN 'cannot be said: the groups were not recorded' ELSE 'not an assignee' END AS finding, decision, interaction_id FROM answers WHERE by_default = 0 AND assignees IS NOT NULL AND NOT EXISTS (SELECT 1 FROM json_each(assignees) AS one WHERE one.value = answered_by OR one.value IN (SELECT 'group:' || value FROM json_each(actor_groups)));
CREATE VIEW response_times AS SELECT workflow, position, min(question) AS question, max(total) AS answers, min(waited_ms) AS min_ms, max(CASE WHEN nth = (total * 50 + 99) / 100 THEN waited_ms END) AS p50_ms, max(CASE WHEN nth = (total * 90 + 99) / 100 THEN waited_ms END) AS p90_ms, max(CASE WHEN nth = (total * 95 + 99) / 100 THEN waited_ms END) AS p95_ms, max(CASE WHEN nth = (total * 99 + 99) / 100 THEN waited_ms END) AS p99_ms, max(waited_ms) AS max_ms FROM (SELECT workflow, position, question, waited_ms, row_number() OVER (PARTITION BY workflow, coalesce(position, question) ORDER BY waited_ms) AS nth, count(*) OVER (PARTITION BY workflow, coalesce(position, question)) AS total FROM answers WHERE by_default = 0 AND waited_ms IS NOT NULL) GROUP BY workflow, coalesce(position, question);
CREATE VIEW default_answers AS SELECT sequence, at, at_ms, execution_id, workflow, owner, question, decision, assignees, waited_ms, interaction_id FROM answers WHERE by_default = 1;
CREATE VIEW recoveries AS SELECT h.sequence, strftime('%Y-%m-%dT%H:%M:%fZ', h.time / 1000.0, 'unixepoch') AS at, h.time AS at_ms, h.execution_id, json_extract(c.detail, '$.workflow') AS workflow, json_extract(c.detail, '$.owner') AS owner, h.event, h.to_status AS status, h.cause, json_extract(h.detail, '$.attempt') AS attempt, json_extract(h.detail, '$.code') AS error_code FROM history AS h LEFT JOIN history AS c ON c.execution_id = h.execution_id AND c.event = 'execution_created' WHERE h.event = 'execution_recovered' OR (h.event = 'execution_failed' AND h.cause IN ('recover', 'attempts exhausted'));
CREATE VIEW sweeps AS SELECT g.sequence, strftime('%Y-%m-%dT%H:%M:%fZ', g.time / 1000.0, 'unixepoch') AS at, g.time AS at_ms, g.execution_id, json_extract(c.detail, '$.workflow') AS workflow, json_extract(c.detail, '$.owner') AS owner, g.how, g.actor, e.to_status AS status, strftime('%Y-%m-%dT%H:%M:%fZ', e.time / 1000.0, 'unixepoch') AS ended_at FROM (SELECT s.sequence, s.time, gone.value AS execution_id, 'swept' AS how, s.actor FROM history AS s JOIN json_each(s.detail, '$.execution_ids') AS gone WHERE s.execution_id IS NULL AND s.event = 'swept' UNION ALL SELECT sequence, time, execution_id, 'removed', actor FROM history WHERE event = 'execution_removed') AS g LEFT JOIN history AS c ON c.execution_id = g.execution_id AND c.event = 'execution_created' LEFT JOIN history AS e ON e.execution_id = g.execution_id AND e.event IN ('execution_completed', 'execution_failed', 'execution_cancelled');
CREATE VIEW four_eyes_violations AS SELECT sequence, at, at_ms, execution_id, workflow, owner, question, decision, answered_by, authority, interaction_id FROM answers WHERE four_eyes = 1 AND by_default = 0 AND owner = coalesce(answered_by, owner);
CREATE VIEW file_changes AS SELECT h.sequence, strftime('%Y-%m-%dT%H:%M:%fZ', h.time / 1000.0, 'unixepoch') AS at, h.time AS at_ms, h.event, h.execution_id, h.actor, h.cause, h.detail FROM history AS h WHERE (h.execution_id IS NULL AND h.event <> 'swept') OR h.event = 'payloads_erased';
CREATE TRIGGER history_is_never_changed BEFORE UPDATE ON history WHEN NEW.detail IS NOT NULL OR NEW.sequence IS NOT OLD.sequence OR NEW.execution_id IS NOT OLD.execution_id OR NEW.event IS NOT OLD.event OR NEW.wait_id IS NOT OLD.wait_id OR NEW.from_status IS NOT OLD.from_status OR NEW.to_status IS NOT OLD.to_status OR NEW.actor IS NOT OLD.actor OR NEW.cause IS NOT OLD.cause OR NEW.time IS NOT OLD.time OR NEW.detail_sha256 IS NOT OLD.detail_sha256 OR NEW.digest IS NOT OLD.digest OR NOT EXISTS (SELECT 1 FROM erasures WHERE sequence = OLD.sequence) BEGIN SELECT RAISE(ABORT, 'history is append-only'); END;
CREATE TRIGGER erasures_are_told_of BEFORE INSERT ON erasures WHEN NOT EXISTS (SELECT 1 FROM history AS e, json_each(e.detail, '$.sequences') AS named WHERE e.sequence = NEW.ordered AND e.event = 'payloads_erased' AND e.sequence > NEW.sequence AND named.value = NEW.sequence) BEGIN SELECT RAISE(ABORT, 'an erasure is told of by a later row of history that names it'); END;
CREATE TRIGGER erasures_are_never_changed BEFORE UPDATE ON erasures BEGIN SELECT RAISE(ABORT, 'an erasure stays'); END;
CREATE TRIGGER erasures_go_with_the_history BEFORE DELETE ON erasures WHEN OLD.sequence > (SELECT sequence FROM history_anchor) BEGIN SELECT RAISE(ABORT, 'an erasure stays'); END;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('leases',1);
