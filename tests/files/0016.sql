CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0016');
CREATE TABLE assignments (
    name TEXT NOT NULL,
    due INTEGER NOT NULL,
    urgency INTEGER NOT NULL,
    opened INTEGER NOT NULL,
    interaction_key INTEGER NOT NULL,
    workflow TEXT,
    PRIMARY KEY (name, due, urgency, opened)
)
 WITHOUT ROWID;
INSERT INTO "assignments" VALUES('',1807776000000,0,17,8,'asks several');
INSERT INTO "assignments" VALUES('',9223372036854775807,0,4,1,'asks text');
INSERT INTO "assignments" VALUES('',9223372036854775807,0,6,2,'asks notification');
INSERT INTO "assignments" VALUES('',9223372036854775807,0,8,3,'asks binary_choice');
INSERT INTO "assignments" VALUES('',9223372036854775807,0,10,4,'asks radio');
INSERT INTO "assignments" VALUES('',9223372036854775807,0,12,5,'asks checkbox');
INSERT INTO "assignments" VALUES('',9223372036854775807,0,14,6,'asks dropdown');
INSERT INTO "assignments" VALUES('',9223372036854775807,0,39,11,'paused.parallel');
INSERT INTO "assignments" VALUES('',9223372036854775807,0,45,13,'paused.refund');
INSERT INTO "assignments" VALUES('ada',1807776000000,0,17,8,'asks several');
INSERT INTO "assignments" VALUES('ada',9223372036854775807,0,4,1,'asks text');
INSERT INTO "assignments" VALUES('ada',9223372036854775807,0,6,2,'asks notification');
INSERT INTO "assignments" VALUES('ada',9223372036854775807,0,8,3,'asks binary_choice');
INSERT INTO "assignments" VALUES('ada',9223372036854775807,0,10,4,'asks radio');
INSERT INTO "assignments" VALUES('ada',9223372036854775807,0,12,5,'asks checkbox');
INSERT INTO "assignments" VALUES('ada',9223372036854775807,0,14,6,'asks dropdown');
INSERT INTO "assignments" VALUES('ada',9223372036854775807,0,45,13,'paused.refund');
INSERT INTO "assignments" VALUES('bob',9223372036854775807,0,39,11,'paused.parallel');
INSERT INTO "assignments" VALUES('group:finance',9223372036854775807,0,45,13,'paused.refund');
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
INSERT INTO "consents" VALUES(1,8,'01a3185c-5000-7194-8803-9755b35f410c','pending',18,'https://provider.example/authorize','state 1',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "consents" VALUES(2,9,'01a3185c-5000-78c2-aca5-0df93a3d3e5c','pending',21,'https://provider.example/authorize','state 2',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
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
    error_code TEXT, secrets INTEGER, priority INTEGER DEFAULT 0 NOT NULL, epoch INTEGER DEFAULT 0 NOT NULL, ready INTEGER CONSTRAINT executions_ready_is_yes_or_no CHECK (ready IN (0, 1)), attempts INTEGER DEFAULT 0 NOT NULL, wake_at INTEGER, problem TEXT,
    PRIMARY KEY ("key"),
    CONSTRAINT executions_id_is_unique UNIQUE (id),
    CONSTRAINT executions_status_is_known CHECK ((status = 'running' OR status = 'interaction_required' OR status = 'oauth_required' OR status = 'completed' OR status = 'failed' OR status = 'cancelled')),
    CONSTRAINT executions_completed_at_means_ended CHECK ((completed_at IS NOT NULL) = (status = 'completed' OR status = 'failed' OR status = 'cancelled')),
    CONSTRAINT executions_only_ended_ones_expire CHECK (expires_at IS NULL OR completed_at IS NOT NULL),
    CONSTRAINT executions_paused_means_open_waits CHECK ((open_waits > 0) = (status = 'interaction_required' OR status = 'oauth_required')),
    CONSTRAINT executions_result_is_json CHECK (result IS NULL OR json_valid(result))
);
INSERT INTO "executions" VALUES(1,'01a3185c-5000-7815-8eb6-4b12ef70a0ac','running',1,0,'running','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(2,'01a3185c-5000-7438-8351-19e5ff420bd3','interaction_required',2,1,'asks text','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(3,'01a3185c-5000-72ce-9edc-b2da601f17de','interaction_required',2,1,'asks notification','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(4,'01a3185c-5000-7998-b239-c1f5bfe79513','interaction_required',2,1,'asks binary_choice','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(5,'01a3185c-5000-74b6-a195-4ef03138985c','interaction_required',2,1,'asks radio','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(6,'01a3185c-5000-7da2-8401-b03e024c8667','interaction_required',2,1,'asks checkbox','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(7,'01a3185c-5000-7f15-b981-e4a1744859f4','interaction_required',2,1,'asks dropdown','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(8,'01a3185c-5000-79f2-92db-bd2975410522','interaction_required',5,2,'asks several','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(9,'01a3185c-5000-7f20-8c34-874e2d0a8b7d','oauth_required',2,1,'consents','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(10,'01a3185c-5000-7e23-ae6a-0814f09ffa83','completed',2,0,'completed','ada',NULL,1800000000000,1800000000000,1800000600000,NULL,'{"price":[1,2.5,null,"é"]}',NULL,NULL,NULL,0,0,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(11,'01a3185c-5000-74f2-b52a-28965588342e','completed',2,0,'held','ada',NULL,1800000000000,1800000000000,1800000600000,'an audit','"held"',NULL,NULL,NULL,0,0,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(12,'01a3185c-5000-7f47-a2a7-01a26177493e','failed',2,0,'failed','ada',NULL,1800000000000,1800000000000,NULL,NULL,NULL,'It failed.','planned',NULL,0,0,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(13,'01a3185c-5000-705e-8f14-ceff4ea6054d','cancelled',3,0,'cancelled','ada',NULL,1800000000000,1800000000000,1800000600000,NULL,NULL,NULL,NULL,NULL,0,0,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(14,'01a3185c-5000-774c-b59b-5b947bd04378','interaction_required',4,1,'paused.refund','bob',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,1,1,0,NULL,NULL);
INSERT INTO "executions" VALUES(15,'01a3185c-5000-7b16-8683-617d29c90e94','interaction_required',4,1,'paused.parallel','bob',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,1,1,0,NULL,NULL);
INSERT INTO "executions" VALUES(16,'01a3185c-5000-7586-925a-f958d445afd7','running',1,0,'paused.asleep','bob',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,1,0,0,NULL,NULL);
CREATE TABLE failures (
    execution_key INTEGER NOT NULL,
    type TEXT NOT NULL,
    message TEXT NOT NULL,
    traceback TEXT NOT NULL,
    PRIMARY KEY (execution_key),
    FOREIGN KEY(execution_key) REFERENCES executions ("key") ON DELETE CASCADE
);
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
INSERT INTO "history" VALUES(1,NULL,'routes_changed',NULL,NULL,NULL,NULL,'start',1800000000000,'{"routes":{"questions":"office"}}',X'DC0CC0D0EE2ADE64D688DF73ED922000C0E7855B20350DACB030BCF625663666',X'FEF7C9E26074B7BE0509EFB7853F0F3213992F5E3384B6BBC0DDF7D31EF9136C');
INSERT INTO "history" VALUES(2,'01a3185c-5000-7815-8eb6-4b12ef70a0ac','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"running","owner":"ada"}',X'29EAE50C4B0E449B87519C9BF4AC8D61082DDD9B81EA99DC3C7B4624EBD3FD50',X'39E3CD24E501B2AAE4DA67802ABB00EB260E507666496D9B0A871511017F8FCE');
INSERT INTO "history" VALUES(3,'01a3185c-5000-7438-8351-19e5ff420bd3','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"asks text","owner":"ada"}',X'0FE8C861B445585011CA93295184F78CEB61DD212A0CF608B2B5D7CE64E7493E',X'EEED0D749B54337693F0F8BB2100A801A5CA92BA96FE1B23ECA9CEFB41B7D44C');
INSERT INTO "history" VALUES(4,'01a3185c-5000-7438-8351-19e5ff420bd3','interaction_asked','01a3185c-5000-7c52-bac9-a44ecbef1238','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"What is your name?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}}',X'B2A2084F980F08BD1DCCB18407339FF01B0CD240083208BF0947449B9408EA30',X'9108E7F70A8024EFD168989EE6C12E6442921FA211C8C595E6FFA969847D0DF3');
INSERT INTO "history" VALUES(5,'01a3185c-5000-72ce-9edc-b2da601f17de','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"asks notification","owner":"ada"}',X'0B33ED6E5C98A06597EC3F5220E20E8B637A6B0917EB3BB341A96BE4E7C71DEF',X'B63512EB9F0EC70DBF2B8C611B6826FF5D2BF8B42013DAFEDDB7F668ED9713EA');
INSERT INTO "history" VALUES(6,'01a3185c-5000-72ce-9edc-b2da601f17de','interaction_asked','01a3185c-5000-7f85-8a32-2e618b30910d','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"The report is ready.","timeout":null,"error":null,"input_type":"notification"}}',X'5511A5E12E64889D122C8EEAC74EDEE5218053B28A27B5BD7EEEA876079EF9FD',X'9BBFBA8592A5BBB6297213F26BE3A09A7E30294979DD7E913D3959C3B0C68DD2');
INSERT INTO "history" VALUES(7,'01a3185c-5000-7998-b239-c1f5bfe79513','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"asks binary_choice","owner":"ada"}',X'90C02E3B32BCC1D07CE2005F65A9F5242E74618890ADF8E03152F61639EE903D',X'48C71EA66E027BE9F43F6815ABECF671D87BAB3678434FBB36CF68768599D266');
INSERT INTO "history" VALUES(8,'01a3185c-5000-7998-b239-c1f5bfe79513','interaction_asked','01a3185c-5000-7790-8040-4c222ed4a2b6','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"Go on?","timeout":null,"error":null,"input_type":"binary_choice","options":[{"id":"yes","label":"Yes","value":true},{"id":"no","label":"No","value":false}]}}',X'395DA07F90CAE6D0BFEEFB7E987EC9B068E12296FE04FCF8FAE3D732CD74F36A',X'7180E65D68D105439DEC58D33AF349784E3BDC7C52CE318746216A717782843A');
INSERT INTO "history" VALUES(9,'01a3185c-5000-74b6-a195-4ef03138985c','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"asks radio","owner":"ada"}',X'0ECBD5EDAF9E2D9D8837A3634323D11334188766C2B8A3589E288E7AA45DE338',X'1F8D827F7588325ADC45BA400091ACB215B48F893BBBAA6A60D7C7F4FD510943');
INSERT INTO "history" VALUES(10,'01a3185c-5000-74b6-a195-4ef03138985c','interaction_asked','01a3185c-5000-707b-9918-07572ca4d0e5','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"How?","timeout":null,"error":null,"options":[{"id":"mail","label":"E-mail","value":"mail","description":"default"},{"id":"call","label":"Call","value":"call","description":"default"}],"input_type":"radio"}}',X'1B06EE8B790244DEE058959CC31908AD7A7433EE3E5B9BC19A11929C3BE666BD',X'F0B69F39A8CAFE709C179E3695CE618596C19AA17D9B977F66B672E3B81AF6BB');
INSERT INTO "history" VALUES(11,'01a3185c-5000-7da2-8401-b03e024c8667','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"asks checkbox","owner":"ada"}',X'C1F4F741FF01C5AC17D06D7280E47C78EEB0B6355646C2521C851D1D6A3EB328',X'0FE8834B7C7C56CEBA0BAE8D69DE4A325F7E389965EDC56F146F707B98A58870');
INSERT INTO "history" VALUES(12,'01a3185c-5000-7da2-8401-b03e024c8667','interaction_asked','01a3185c-5000-7f10-9ccc-0bb16e6bcee6','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"How?","timeout":null,"error":null,"options":[{"id":"mail","label":"E-mail","value":"mail","description":"default"},{"id":"call","label":"Call","value":"call","description":"default"}],"input_type":"checkbox"}}',X'BC3F1CB255202DF93FC26E572CCF9A880456A5EE1F600428F4592B3D1A9B18D8',X'7ABCF8BA24716EA9BC457713324C7BCBC0F3429529D17590ED4C820F4F8C3CF2');
INSERT INTO "history" VALUES(13,'01a3185c-5000-7f15-b981-e4a1744859f4','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"asks dropdown","owner":"ada"}',X'064B9D1D7A93D13429733A0F15458E218DB81FDE8E5D833CAE848343275B137C',X'6139286C37FAAAF72399126068FBB16EB864CB6811C9BF6D12621D348317AD65');
INSERT INTO "history" VALUES(14,'01a3185c-5000-7f15-b981-e4a1744859f4','interaction_asked','01a3185c-5000-77a2-a9e4-398340778b14','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"How?","timeout":null,"error":null,"options":[{"id":"mail","label":"E-mail","value":"mail","description":"default"},{"id":"call","label":"Call","value":"call","description":"default"}],"input_type":"dropdown"}}',X'90D6E07365CF6693622F1070C4801EF320C883CA9B22D30D4621BDAC9E0784F9',X'FD3BA95BDA88F2D5738B10F8ECC566DB1991E595B5EF82BBC1FE9F15ED40006A');
INSERT INTO "history" VALUES(15,'01a3185c-5000-79f2-92db-bd2975410522','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"asks several","owner":"ada"}',X'B2E94E22E22893AC3F80125EA659536BCC8E8AD85B509E406F8F737512194D0D',X'0F72E41D47F5A77C84301C292C48DFE86178A3AE49AABA1E4CB3BE6FDA4BCDCE');
INSERT INTO "history" VALUES(16,'01a3185c-5000-79f2-92db-bd2975410522','interaction_asked','first','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"What is your name?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}}',X'B2A2084F980F08BD1DCCB18407339FF01B0CD240083208BF0947449B9408EA30',X'6EA952D06D426C581F5767D8CB668734BC3A9013C29824EF4B47201D5F499F15');
INSERT INTO "history" VALUES(17,'01a3185c-5000-79f2-92db-bd2975410522','interaction_asked','second','interaction_required','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"Go on?","timeout":null,"error":null,"input_type":"binary_choice","options":[{"id":"yes","label":"Yes","value":true},{"id":"no","label":"No","value":false}]},"timeout_ms":7776000000}',X'C311F8CF4291C229707EB40B5CD468C419A4FB8A257077573369329BAFAD892B',X'8B1246F686D1CB2482C4C997AB455B4F213EF26CB749BD672CB41D7B1026A9B7');
INSERT INTO "history" VALUES(18,'01a3185c-5000-79f2-92db-bd2975410522','consent_asked','01a3185c-5000-7194-8803-9755b35f410c','interaction_required','interaction_required',NULL,NULL,1800000000000,NULL,NULL,X'A3080A1B6E4AC0C4BD2B813EA3E5BB85F407568EA9728F0AD50C2A365C596AF4');
INSERT INTO "history" VALUES(19,'01a3185c-5000-79f2-92db-bd2975410522','interaction_answered','first','interaction_required','interaction_required','grace',NULL,1800000000000,'{"response":{"type":"text","text":"Ada"}}',X'D9C0036DED1D58CC269160D399D37E08BD20369D2E0CC435C24C823554B8AE52',X'02F9D667CF15BB692A59640CFFD6E2D0BCD6E3593696AF3E7584097BD56305C4');
INSERT INTO "history" VALUES(20,'01a3185c-5000-7f20-8c34-874e2d0a8b7d','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"consents","owner":"ada"}',X'5E344D88E4C16D07E52220D429155F4B975BE51BE4E190C0BFF16857769DCEE4',X'85C11649B09559D8FCED0F31610DD606D693A21740913A45CB77DFE69570327C');
INSERT INTO "history" VALUES(21,'01a3185c-5000-7f20-8c34-874e2d0a8b7d','consent_asked','01a3185c-5000-78c2-aca5-0df93a3d3e5c','running','oauth_required',NULL,NULL,1800000000000,NULL,NULL,X'BD3347E7418CE48D98188D2B6D20A485345A4ED084B653D1FB695F725A65D86E');
INSERT INTO "history" VALUES(22,'01a3185c-5000-7e23-ae6a-0814f09ffa83','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"completed","owner":"ada"}',X'621AA87ED460C0E333DB418353863ED7613B0BB97EB3B9D7421C5CABC0E110A4',X'28A5AA4296DC51A1E17CAF804EB098B3BCF945A1C574941EED991D50AFD8AD76');
INSERT INTO "history" VALUES(23,'01a3185c-5000-7e23-ae6a-0814f09ffa83','execution_completed',NULL,'running','completed',NULL,NULL,1800000000000,NULL,X'A41F7FAF3D298A56DD8960EDDAA3EC31FF033750D7FD8147CFFAC12AC44C035F',X'9D5BAF8379A23BF8D95F5F74A97D14F58036A9607327223751A7C34E00AF48FD');
INSERT INTO "history" VALUES(24,'01a3185c-5000-74f2-b52a-28965588342e','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"held","owner":"ada"}',X'5EE31D19A260912F3D1356AB82EE55ADFA60D8231B7E5FE029ADF2EBB909A76D',X'75B3E5E04A911A84A725E52A8990E1BF013FEFE6C4B6F70809525025D657E9AF');
INSERT INTO "history" VALUES(25,'01a3185c-5000-74f2-b52a-28965588342e','execution_completed',NULL,'running','completed',NULL,NULL,1800000000000,NULL,X'FCD86AC6B458C22662F923D21C3E8AE570DEE43713FDAEDC2A1E3BA47F95992B',X'67EB99E51D0D53AFDFDACDA484008D8697D1052B6DDDCAAE84AA6E907B456403');
INSERT INTO "history" VALUES(26,'01a3185c-5000-74f2-b52a-28965588342e','execution_held',NULL,'completed','completed','otto','an audit',1800000000000,NULL,NULL,X'A7C9C3B9C0F183B39DB7AE87D6A720AC2172AAC876D29F3DBEB1EA7D427404A3');
INSERT INTO "history" VALUES(27,'01a3185c-5000-7f47-a2a7-01a26177493e','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"failed","owner":"ada"}',X'721FEA088894166B82BCA4116D5A003892F6137D57ACCB49A5BDC19B458AB095',X'A66D9CC84AA51C13DD4F3622485534C305906423861505EFC91D29ED203A52D5');
INSERT INTO "history" VALUES(28,'01a3185c-5000-7f47-a2a7-01a26177493e','execution_failed',NULL,'running','failed',NULL,NULL,1800000000000,'{"error":"It failed.","code":"planned"}',X'8E98F618CB5674EC65A73EE16E02BD1B3E560594CA6543CC2B8477FB4BE2DB99',X'44A499BB4B80CD2CFA4424004F4F23580E969980E96A8CC9407871B4CC02E15A');
INSERT INTO "history" VALUES(29,'01a3185c-5000-705e-8f14-ceff4ea6054d','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"cancelled","owner":"ada"}',X'3540840F0B8001DE8FE4E27B702608EF39AEEDE55FCB3EF99D47A155FC434718',X'B2FCB805BA70C5124E8B598EFE70D8139612B78DF72E55F97291D68105F7A642');
INSERT INTO "history" VALUES(30,'01a3185c-5000-705e-8f14-ceff4ea6054d','interaction_asked','01a3185c-5000-7946-8865-b565f9bab7da','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"What is your name?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}}',X'B2A2084F980F08BD1DCCB18407339FF01B0CD240083208BF0947449B9408EA30',X'27053BDABD497605A20D51C924CC45F70FEE5E02051BD836CB7B0984566DA959');
INSERT INTO "history" VALUES(31,'01a3185c-5000-705e-8f14-ceff4ea6054d','execution_cancelled',NULL,'interaction_required','cancelled','ada','enough',1800000000000,NULL,NULL,X'D6A896535FDB586BDBB6B713E91D34833ACEDE979B15EDB0E64E9CA3AFE236A0');
INSERT INTO "history" VALUES(32,'01a3185c-5000-705e-8f14-ceff4ea6054d','interaction_withdrawn','01a3185c-5000-7946-8865-b565f9bab7da','cancelled','cancelled','ada','execution cancelled',1800000000000,NULL,NULL,X'3FD04D3192F304471431223540D3B622E9623CF22C2F7188183FA73A05A415B1');
INSERT INTO "history" VALUES(33,'01a3185c-5000-7a90-962c-ce6e7ca0eeb5','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"removed","owner":"ada"}',X'C7BFF33DFC0EBAE8027EAAB6431E505A3A1A947A88924E8FBCF13B466E1B2F08',X'D488058BF0A563FBEF5710E29425370F923BF13F6B74CE00A6121059171AD9A7');
INSERT INTO "history" VALUES(34,'01a3185c-5000-7a90-962c-ce6e7ca0eeb5','execution_completed',NULL,'running','completed',NULL,NULL,1800000000000,NULL,X'74234E98AFE7498FB5DAF1F36AC2D78ACC339464F950703B8C019892F982B90B',X'D56B6BB1B5BC36FD3E3C7FCD2AC8C771AA5CA2A1783263649161E04AEB202AA5');
INSERT INTO "history" VALUES(35,'01a3185c-5000-7a90-962c-ce6e7ca0eeb5','execution_removed',NULL,'completed',NULL,NULL,NULL,1800000000000,NULL,NULL,X'0385A07853BEC3F3FBF8AF8477A1643305DB8BA142BF7C0F0A60265BEADC8826');
INSERT INTO "history" VALUES(36,'01a3185c-5000-774c-b59b-5b947bd04378','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"paused.refund","owner":"bob","input_sha256":"97e493bcc7796df57cec3c25bd4d8bfb96b8b5a60f8c9433b42d04a853800459"}',X'BF28B6891E906254BCC802C3E3E16131BB40B8E37BC0DF35B985B304EB7C11CE',X'62FD75A9C5098F73346715211708B73C71DACBB7673B63E8DA711BE71B71C3A2');
INSERT INTO "history" VALUES(37,'01a3185c-5000-7b16-8683-617d29c90e94','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"paused.parallel","owner":"bob","input_sha256":"97e493bcc7796df57cec3c25bd4d8bfb96b8b5a60f8c9433b42d04a853800459"}',X'0CB27C73867AC564CDC4980A0B14D21264F0D6582C0DA84CE04C81E5CC1CDFD5',X'9D930F09282D2FFD27992D605E558511F02812570F6AABBDB5343CFB3A010EA9');
INSERT INTO "history" VALUES(38,'01a3185c-5000-7b16-8683-617d29c90e94','interaction_asked','01a3185c-5000-7b1e-9e16-3d89ef20975a','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"Left?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true},"position":"1","timeout_ms":7776000000,"on_deadline":"fail"}',X'DA50271DC8592D82EBFAD01C2B566B850547D67BE57BC5B3E5015BFA4994CB82',X'ACF5E3BAF489761D47DE5116B62A84341002AD003E7A6B17F74C8304878BC3E6');
INSERT INTO "history" VALUES(39,'01a3185c-5000-7b16-8683-617d29c90e94','interaction_asked','01a3185c-5000-78db-a3ab-32e104b8ad24','interaction_required','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"Right?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true},"position":"2"}',X'942642E8F696F94D9B455CD009B17A638CF52ABB6EC91E23BAE1BD647F27105F',X'EA9E12A14616E1C062048E532A5B61841DBD02958D99B95AC496379F735ADC2F');
INSERT INTO "history" VALUES(40,'01a3185c-5000-7586-925a-f958d445afd7','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"paused.asleep","owner":"bob","input_sha256":"97e493bcc7796df57cec3c25bd4d8bfb96b8b5a60f8c9433b42d04a853800459"}',X'1D7FFC46855FCB9AEE3FBE18954C8450EF793FD37E0F3318AE10D9BD23FAE1CC',X'3840B9BCF2B8C2330D767EAA29187B1918B1E09CCB9E6BCA1CAB262B64214CA0');
INSERT INTO "history" VALUES(41,'01a3185c-5000-774c-b59b-5b947bd04378','interaction_asked','01a3185c-5000-7fc1-820b-290d1ce5b311','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"Refund it?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true},"position":"2"}',X'EBB5F34B923B39773074CC1E8966AD951D5F65006132BEF32BC12D33A8DE7B4A',X'FC97058A7D4158AB573251510F41600A22F5328D963B265ED025BF195E0C923C');
INSERT INTO "history" VALUES(42,'01a3185c-5000-774c-b59b-5b947bd04378','interaction_answered','01a3185c-5000-7fc1-820b-290d1ce5b311','interaction_required','running',NULL,NULL,1800000000000,'{"response":{"type":"text","text":"Yes"}}',X'81BB75A9163C9087E6BAA956B06414EBD4EB2C4ECB044A9CF2DFD94A04C683CC',X'59061B94FCC82C1E024D3EA1212CDA6C53A8DC212C53A8ACA54DB7D4AEC0E037');
INSERT INTO "history" VALUES(43,'01a3185c-5000-774c-b59b-5b947bd04378','emitted',NULL,'running','running',NULL,NULL,1800000000000,'{"position":"3","data_sha256":"cd0b7bb60b8ff526a4f6cccc16c654295ed3a79ee779bc2272f445cfb72f9419"}',X'75BB028B23D7EAAA284A1C0D4129498A61AEDE57E6E90E0A8ED862E4A51759BD',X'66CA06DBBAE1C43646A2AF74F8E3E21BD1E272B1A7764A21240828B5A0DB5101');
INSERT INTO "history" VALUES(44,'01a3185c-5000-774c-b59b-5b947bd04378','notified',NULL,'running','running',NULL,NULL,1800000000000,'{"position":"4","prompt_sha256":"9b03bd2a90018d591d30a0033f77c5a54e3862727d65c63d767de71bea756ec9"}',X'B55570BCDBEAB53D636E1C65E98138A69D429AB973FF2086E21B4A00335DEB1A',X'37B516D9ABE273A6A71782732070F7858DDBF85D4487DDEF5488314731810BB5');
INSERT INTO "history" VALUES(45,'01a3185c-5000-774c-b59b-5b947bd04378','interaction_asked','01a3185c-5000-75d8-a41c-4d3436a84a2c','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"Why?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true},"assignees":["ada","group:finance"],"four_eyes":true,"position":"5"}',X'7E7FD0D1D1EBF5E5356217776A9FE21C26AA685FEEC0FA56099AF9B8502FCDAB',X'03B02FE4115682CE86BD0013B0550004316CCBFAED01AEE93CF30D14873D5BD7');
INSERT INTO "history" VALUES(46,'01a3185c-5000-7b16-8683-617d29c90e94','interaction_answered','01a3185c-5000-7b1e-9e16-3d89ef20975a','interaction_required','interaction_required',NULL,NULL,1800000000000,'{"response":{"type":"text","text":"L"}}',X'8F4A8C8A905145A1AB51E1CFEA8B71FB86497C134A2E1543917480233CAA0B4F',X'2BF6FF1319DC04EF78432F0E43196DD21C525BA1619396C88070B94BC7A1D143');
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
    answered_by TEXT, assignees TEXT, four_eyes INTEGER, on_deadline TEXT, default_response TEXT, priority INTEGER, due_at INTEGER, excluded TEXT, claimed_by TEXT, claimed_at INTEGER, votes INTEGER CONSTRAINT interactions_votes_are_several CHECK (votes > 1),
    PRIMARY KEY ("key"),
    CONSTRAINT interactions_id_is_unique_in_its_execution UNIQUE (execution_key, id),
    CONSTRAINT interactions_status_is_known CHECK ((status = 'pending' OR status = 'answered' OR status = 'expired' OR status = 'withdrawn')),
    CONSTRAINT interactions_answered_means_a_response CHECK ((status = 'answered') = (response IS NOT NULL)),
    CONSTRAINT interactions_closed_at_means_closed CHECK ((status = 'pending') = (closed_at IS NULL)),
    CONSTRAINT interactions_prompt_is_json CHECK (json_valid(prompt)),
    CONSTRAINT interactions_response_is_json CHECK (response IS NULL OR json_valid(response)),
    FOREIGN KEY(execution_key) REFERENCES executions ("key") ON DELETE CASCADE
);
INSERT INTO "interactions" VALUES(1,2,'01a3185c-5000-7c52-bac9-a44ecbef1238','pending',4,'{"text":"What is your name?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(2,3,'01a3185c-5000-7f85-8a32-2e618b30910d','pending',6,'{"text":"The report is ready.","timeout":null,"error":null,"input_type":"notification"}',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(3,4,'01a3185c-5000-7790-8040-4c222ed4a2b6','pending',8,'{"text":"Go on?","timeout":null,"error":null,"input_type":"binary_choice","options":[{"id":"yes","label":"Yes","value":true},{"id":"no","label":"No","value":false}]}',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(4,5,'01a3185c-5000-707b-9918-07572ca4d0e5','pending',10,'{"text":"How?","timeout":null,"error":null,"options":[{"id":"mail","label":"E-mail","value":"mail","description":"default"},{"id":"call","label":"Call","value":"call","description":"default"}],"input_type":"radio"}',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(5,6,'01a3185c-5000-7f10-9ccc-0bb16e6bcee6','pending',12,'{"text":"How?","timeout":null,"error":null,"options":[{"id":"mail","label":"E-mail","value":"mail","description":"default"},{"id":"call","label":"Call","value":"call","description":"default"}],"input_type":"checkbox"}',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(6,7,'01a3185c-5000-77a2-a9e4-398340778b14','pending',14,'{"text":"How?","timeout":null,"error":null,"options":[{"id":"mail","label":"E-mail","value":"mail","description":"default"},{"id":"call","label":"Call","value":"call","description":"default"}],"input_type":"dropdown"}',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(7,8,'first','answered',16,'{"text":"What is your name?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}',1800000000000,NULL,1800000000000,'{"type":"text","text":"Ada"}','grace',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(8,8,'second','pending',17,'{"text":"Go on?","timeout":null,"error":null,"input_type":"binary_choice","options":[{"id":"yes","label":"Yes","value":true},{"id":"no","label":"No","value":false}]}',1800000000000,1807776000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(9,13,'01a3185c-5000-7946-8865-b565f9bab7da','withdrawn',30,'{"text":"What is your name?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}',1800000000000,NULL,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(10,15,'01a3185c-5000-7b1e-9e16-3d89ef20975a','answered',38,'{"text":"Left?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}',1800000000000,1807776000000,1800000000000,'{"type":"text","text":"L"}',NULL,NULL,NULL,'fail',NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(11,15,'01a3185c-5000-78db-a3ab-32e104b8ad24','pending',39,'{"text":"Right?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(12,14,'01a3185c-5000-7fc1-820b-290d1ce5b311','answered',41,'{"text":"Refund it?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}',1800000000000,NULL,1800000000000,'{"type":"text","text":"Yes"}',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(13,14,'01a3185c-5000-75d8-a41c-4d3436a84a2c','pending',45,'{"text":"Why?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}',1800000000000,NULL,NULL,NULL,NULL,'["ada","group:finance"]',1,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
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
INSERT INTO "journal" VALUES(14,'1','step','priced','96d6e92f3506979b','8',1800000000000,NULL,39,1,0);
INSERT INTO "journal" VALUES(14,'2','ask','text','bc47e1cc074fbaa6','"01a3185c-5000-7fc1-820b-290d1ce5b311"',1800000000000,NULL,NULL,2,1);
INSERT INTO "journal" VALUES(14,'3','emit','data','811e41e444d0645d','{"price":8}',1800000000000,NULL,42,3,2);
INSERT INTO "journal" VALUES(14,'4','notify','notification','7c202b7df096b645','{"text":"Half of it is done.","timeout":null,"error":null,"input_type":"notification"}',1800000000000,NULL,43,4,3);
INSERT INTO "journal" VALUES(14,'5','ask','text','dc55d7455cfcb19f','"01a3185c-5000-75d8-a41c-4d3436a84a2c"',1800000000000,NULL,NULL,NULL,4);
INSERT INTO "journal" VALUES(15,'1','ask','text','46166b3303042d80','"01a3185c-5000-7b1e-9e16-3d89ef20975a"',1800000000000,NULL,NULL,NULL,0);
INSERT INTO "journal" VALUES(15,'2','ask','text','82e36f12e8efca86','"01a3185c-5000-78db-a3ab-32e104b8ad24"',1800000000000,NULL,NULL,NULL,0);
INSERT INTO "journal" VALUES(16,'1','sleep','sleep','9f05fa724980dc27','{"until":1800086400000}',1800000000000,NULL,NULL,NULL,0);
CREATE TABLE kept_keys (
    start_sha256 BLOB NOT NULL,
    request_sha256 BLOB NOT NULL,
    execution_id TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (start_sha256)
)
 WITHOUT ROWID;
CREATE TABLE leases (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    started INTEGER,
    expires_at INTEGER NOT NULL
);
INSERT INTO "leases" VALUES(1,'elsewhere',1,1,1800000030000);
CREATE TABLE outbox (
    id TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    route TEXT NOT NULL,
    channel TEXT NOT NULL,
    execution_id TEXT NOT NULL,
    wait_id TEXT,
    asks INTEGER NOT NULL,
    recipient TEXT,
    status TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    due_at INTEGER,
    give_up_at INTEGER NOT NULL,
    lease INTEGER,
    ended_at INTEGER,
    opened_at INTEGER,
    problem TEXT,
    PRIMARY KEY (id),
    CONSTRAINT outbox_status_is_known CHECK ((status = 'pending' OR status = 'delivered' OR status = 'moot' OR status = 'given_up' OR status = 'dropped')),
    CONSTRAINT outbox_ended_at_means_ended CHECK ((status = 'pending') = (ended_at IS NULL)),
    FOREIGN KEY(execution_id) REFERENCES executions (id) ON DELETE CASCADE
)
 WITHOUT ROWID;
INSERT INTO "outbox" VALUES('01a3185c-5000-7229-8698-ed8de12f92d3',6,'questions','office','01a3185c-5000-72ce-9edc-b2da601f17de','01a3185c-5000-7f85-8a32-2e618b30910d',1,NULL,'pending',0,1800000000000,1800000000000,1800604800000,NULL,NULL,NULL,NULL);
INSERT INTO "outbox" VALUES('01a3185c-5000-7272-a480-28f899e6380d',23,'questions','office','01a3185c-5000-7e23-ae6a-0814f09ffa83',NULL,0,NULL,'pending',0,1800000000000,1800000000000,1800604800000,NULL,NULL,NULL,NULL);
INSERT INTO "outbox" VALUES('01a3185c-5000-729a-bbf9-93f279965dd5',8,'questions','office','01a3185c-5000-7998-b239-c1f5bfe79513','01a3185c-5000-7790-8040-4c222ed4a2b6',1,NULL,'pending',0,1800000000000,1800000000000,1800604800000,NULL,NULL,NULL,NULL);
INSERT INTO "outbox" VALUES('01a3185c-5000-73ea-9813-b90d58a4b75f',25,'questions','office','01a3185c-5000-74f2-b52a-28965588342e',NULL,0,NULL,'pending',0,1800000000000,1800000000000,1800604800000,NULL,NULL,NULL,NULL);
INSERT INTO "outbox" VALUES('01a3185c-5000-7429-a8a4-7cf0e79ee0f5',30,'questions','office','01a3185c-5000-705e-8f14-ceff4ea6054d','01a3185c-5000-7946-8865-b565f9bab7da',1,NULL,'moot',0,1800000000000,NULL,1800604800000,NULL,1800000000000,NULL,NULL);
INSERT INTO "outbox" VALUES('01a3185c-5000-751f-9acc-6ecc3de85759',4,'questions','office','01a3185c-5000-7438-8351-19e5ff420bd3','01a3185c-5000-7c52-bac9-a44ecbef1238',1,NULL,'pending',0,1800000000000,1800000000000,1800604800000,NULL,NULL,NULL,NULL);
INSERT INTO "outbox" VALUES('01a3185c-5000-75a6-869a-c4b67acb6e40',14,'questions','office','01a3185c-5000-7f15-b981-e4a1744859f4','01a3185c-5000-77a2-a9e4-398340778b14',1,NULL,'pending',0,1800000000000,1800000000000,1800604800000,NULL,NULL,NULL,NULL);
INSERT INTO "outbox" VALUES('01a3185c-5000-75f4-bbe8-7cf99e4e91e5',39,'questions','office','01a3185c-5000-7b16-8683-617d29c90e94','01a3185c-5000-78db-a3ab-32e104b8ad24',1,NULL,'pending',0,1800000000000,1800000000000,1800604800000,NULL,NULL,NULL,NULL);
INSERT INTO "outbox" VALUES('01a3185c-5000-77e4-97b6-16631a932288',45,'questions','office','01a3185c-5000-774c-b59b-5b947bd04378','01a3185c-5000-75d8-a41c-4d3436a84a2c',1,NULL,'pending',0,1800000000000,1800000000000,1800604800000,NULL,NULL,NULL,NULL);
INSERT INTO "outbox" VALUES('01a3185c-5000-78b5-92b4-75c5678fb11a',12,'questions','office','01a3185c-5000-7da2-8401-b03e024c8667','01a3185c-5000-7f10-9ccc-0bb16e6bcee6',1,NULL,'pending',0,1800000000000,1800000000000,1800604800000,NULL,NULL,NULL,NULL);
INSERT INTO "outbox" VALUES('01a3185c-5000-7a49-abbf-a1975d4118a8',41,'questions','office','01a3185c-5000-774c-b59b-5b947bd04378','01a3185c-5000-7fc1-820b-290d1ce5b311',1,NULL,'moot',0,1800000000000,NULL,1800604800000,NULL,1800000000000,NULL,NULL);
INSERT INTO "outbox" VALUES('01a3185c-5000-7acf-8f82-234d5980dc23',17,'questions','office','01a3185c-5000-79f2-92db-bd2975410522','second',1,NULL,'pending',0,1800000000000,1800000000000,1800604800000,NULL,NULL,NULL,NULL);
INSERT INTO "outbox" VALUES('01a3185c-5000-7ad4-a1d8-1bf4459f9ebb',38,'questions','office','01a3185c-5000-7b16-8683-617d29c90e94','01a3185c-5000-7b1e-9e16-3d89ef20975a',1,NULL,'moot',0,1800000000000,NULL,1800604800000,NULL,1800000000000,NULL,NULL);
INSERT INTO "outbox" VALUES('01a3185c-5000-7af3-970c-966e24f52463',16,'questions','office','01a3185c-5000-79f2-92db-bd2975410522','first',1,NULL,'moot',0,1800000000000,NULL,1800604800000,NULL,1800000000000,NULL,NULL);
INSERT INTO "outbox" VALUES('01a3185c-5000-7ebc-9eeb-bccc2cd87876',10,'questions','office','01a3185c-5000-74b6-a195-4ef03138985c','01a3185c-5000-707b-9918-07572ca4d0e5',1,NULL,'pending',0,1800000000000,1800000000000,1800604800000,NULL,NULL,NULL,NULL);
CREATE TABLE reminders (
    interaction_key INTEGER NOT NULL,
    at INTEGER NOT NULL,
    what TEXT NOT NULL,
    assignees TEXT,
    done_at INTEGER,
    PRIMARY KEY (interaction_key, at, what),
    CONSTRAINT reminders_what_is_known CHECK ((what = 'remind' OR what = 'escalate' OR what = 'stay')),
    CONSTRAINT reminders_assignees_is_json CHECK (assignees IS NULL OR json_valid(assignees)),
    CONSTRAINT reminders_stay_when_they_were_due CHECK (what <> 'stay' OR done_at IS NOT NULL),
    CONSTRAINT reminders_escalate_to_somebody CHECK ((what = 'remind') = (assignees IS NULL)),
    FOREIGN KEY(interaction_key) REFERENCES interactions ("key") ON DELETE CASCADE
)
 WITHOUT ROWID;
CREATE TABLE routes (
    event TEXT NOT NULL,
    name TEXT NOT NULL,
    channel TEXT NOT NULL,
    workflows TEXT,
    owners TEXT,
    assignees TEXT,
    asks INTEGER NOT NULL,
    disabled_at INTEGER,
    problem TEXT,
    PRIMARY KEY (event, name),
    CONSTRAINT routes_asks_is_yes_or_no CHECK (asks IN (0, 1)),
    CONSTRAINT routes_workflows_is_json CHECK (workflows IS NULL OR json_valid(workflows)),
    CONSTRAINT routes_owners_is_json CHECK (owners IS NULL OR json_valid(owners)),
    CONSTRAINT routes_assignees_is_json CHECK (assignees IS NULL OR json_valid(assignees))
)
 WITHOUT ROWID;
INSERT INTO "routes" VALUES('execution_completed','questions','office',NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO "routes" VALUES('interaction_asked','questions','office',NULL,NULL,NULL,1,NULL,NULL);
CREATE TABLE runners (
    lease INTEGER NOT NULL,
    workflow TEXT NOT NULL,
    PRIMARY KEY (lease, workflow)
)
 WITHOUT ROWID;
INSERT INTO "runners" VALUES(1,'paused.asleep@1');
INSERT INTO "runners" VALUES(1,'paused.parallel@1');
INSERT INTO "runners" VALUES(1,'paused.refund@1');
CREATE TABLE runs (
    execution_key INTEGER NOT NULL,
    version INTEGER NOT NULL,
    input TEXT NOT NULL,
    trace TEXT,
    start_sha256 BLOB,
    request_sha256 BLOB,
    PRIMARY KEY (execution_key),
    CONSTRAINT runs_input_is_json CHECK (json_valid(input)),
    CONSTRAINT runs_trace_is_json CHECK (trace IS NULL OR json_valid(trace)),
    FOREIGN KEY(execution_key) REFERENCES executions ("key") ON DELETE CASCADE
);
INSERT INTO "runs" VALUES(14,1,'"an order"',NULL,X'8BFBA54FB433E2C473ECF435C9AF08047C9704D1141C98867458C614E7CDF9FF',X'E570021F4BA22E9484A058A6007BDF6A58FD7AB23B0453C37335276A2B1418AA');
INSERT INTO "runs" VALUES(15,1,'"an order"',NULL,X'E4DD2C839226A8D67B24D2974128D627DE4BE62F142EAFE06E5C980FA436533B',X'D96C1BD144DEC0A49710E7F3C4869C64A29C3843048DB2145ED7DAD008971547');
INSERT INTO "runs" VALUES(16,1,'"an order"',NULL,X'E389CC2320B105AE1426E8F11C59922923EC1C603A1B3F74084229F94F45143A',X'89DCF043617306AF75C5A4805E60D2302E774C4272B0BCFCCE6ECE6DB7F43D4B');
CREATE TABLE sessions (
    token_sha256 BLOB NOT NULL,
    id TEXT NOT NULL,
    actor TEXT NOT NULL,
    groups TEXT NOT NULL,
    roles TEXT NOT NULL,
    provider TEXT,
    bearer_sha256 TEXT,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    PRIMARY KEY (token_sha256),
    CONSTRAINT sessions_id_is_unique UNIQUE (id),
    CONSTRAINT sessions_end_when_they_expire CHECK (ends_at <= expires_at),
    CONSTRAINT sessions_token_is_hashed CHECK (length(token_sha256) = 32),
    CONSTRAINT sessions_begin_in_one_way CHECK ((provider IS NULL) = (bearer_sha256 IS NOT NULL)),
    CONSTRAINT sessions_groups_and_roles_are_json CHECK (json_valid(groups) AND json_valid(roles))
)
 WITHOUT ROWID;
CREATE TABLE settings (
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (name),
    CONSTRAINT settings_value_is_json CHECK (json_valid(value))
)
 WITHOUT ROWID;
INSERT INTO "settings" VALUES('times_to_live','{"statuses":{"completed":600000,"failed":null},"workflows":{}}',1800000000000);
CREATE TABLE step_attempts (
    execution_key INTEGER NOT NULL,
    position TEXT NOT NULL,
    name TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    error TEXT NOT NULL,
    failed_at INTEGER NOT NULL,
    next_at INTEGER NOT NULL,
    PRIMARY KEY (execution_key, position),
    CONSTRAINT step_attempts_count_from_one CHECK (attempts > 0),
    CONSTRAINT step_attempts_error_is_json CHECK (json_valid(error)),
    FOREIGN KEY(execution_key) REFERENCES executions ("key") ON DELETE CASCADE
)
 WITHOUT ROWID;
CREATE TABLE votes (
    interaction_key INTEGER NOT NULL,
    voter TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    voted_at INTEGER NOT NULL,
    response TEXT NOT NULL,
    PRIMARY KEY (interaction_key, voter),
    CONSTRAINT votes_response_is_json CHECK (json_valid(response)),
    FOREIGN KEY(interaction_key) REFERENCES interactions ("key") ON DELETE CASCADE
)
 WITHOUT ROWID;
CREATE INDEX executions_to_sweep ON executions (expires_at) WHERE expires_at IS NOT NULL AND hold IS NULL;
CREATE INDEX history_of_execution ON history (execution_id) WHERE execution_id IS NOT NULL;
CREATE INDEX consents_open ON consents (deadline_at) WHERE status IN ('pending', 'exchanging');
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
CREATE INDEX consents_leased ON consents (lease) WHERE lease IS NOT NULL;
CREATE INDEX consents_sealed ON consents ("key") WHERE verifier IS NOT NULL OR token IS NOT NULL;
CREATE UNIQUE INDEX consents_state_is_unique ON consents (state_sha256) WHERE state_sha256 IS NOT NULL;
CREATE TRIGGER consents_move_as_the_lifecycle_allows BEFORE UPDATE ON consents WHEN NEW.key IS NOT OLD.key OR NEW.id IS NOT OLD.id OR NEW.execution_key IS NOT OLD.execution_key OR NEW.opened IS NOT OLD.opened OR NEW.created_at IS NOT OLD.created_at OR NEW.provider IS NOT OLD.provider OR NEW.scopes IS NOT OLD.scopes OR (OLD.status <> NEW.status AND NOT (OLD.status = 'pending' AND (NEW.status = 'exchanging' OR NEW.status = 'denied' OR NEW.status = 'expired' OR NEW.status = 'withdrawn') OR OLD.status = 'exchanging' AND (NEW.status = 'pending' OR NEW.status = 'granted' OR NEW.status = 'denied' OR NEW.status = 'expired' OR NEW.status = 'withdrawn'))) OR ((OLD.status = 'granted' OR OLD.status = 'denied' OR OLD.status = 'expired' OR OLD.status = 'withdrawn') AND (NEW.status IS NOT OLD.status OR NEW.closed_at IS NOT OLD.closed_at OR NEW.denial IS NOT OLD.denial OR NEW.begun_by IS NOT OLD.begun_by)) BEGIN SELECT RAISE(ABORT, 'illegal transition of a consent, or a change of what stays'); END;
CREATE VIEW open_waits AS SELECT e.id AS execution_id, e.workflow, e.owner, w.kind, w.id AS wait_id, w.text, strftime('%Y-%m-%dT%H:%M:%fZ', w.created_at / 1000.0, 'unixepoch') AS asked_at, strftime('%Y-%m-%dT%H:%M:%fZ', w.deadline_at / 1000.0, 'unixepoch') AS deadline, w.deadline_at AS deadline_ms, w.assignees FROM (SELECT 'interaction' AS kind, execution_key, id, opened, created_at, deadline_at, json_extract(prompt, '$.text') AS text, assignees FROM interactions WHERE status = 'pending' UNION ALL SELECT 'consent', execution_key, id, opened, created_at, deadline_at, coalesce(provider, auth_url), NULL FROM consents WHERE status IN ('pending', 'exchanging')) AS w JOIN executions AS e ON e.key = w.execution_key;
CREATE INDEX history_of_file ON history (event) WHERE execution_id IS NULL;
CREATE VIEW audit_contract AS SELECT 1 AS version;
CREATE VIEW answers_by_others AS SELECT sequence, at, at_ms, execution_id, workflow, owner, question, assignees, answered_by, authority, actor_groups, CASE WHEN authority = 'operator' THEN 'an operator stepped in' WHEN authority IS NOT NULL THEN 'not an assignee, and in none of the groups' WHEN assignees LIKE '%"group:%' THEN 'cannot be said: the groups were not recorded' ELSE 'not an assignee' END AS finding, decision, interaction_id FROM answers WHERE by_default = 0 AND assignees IS NOT NULL AND NOT EXISTS (SELECT 1 FROM json_each(assignees) AS one WHERE one.value = answered_by OR one.value IN (SELECT 'group:' || value FROM json_each(actor_groups)));
CREATE VIEW response_times AS SELECT workflow, position, min(question) AS question, max(total) AS answers, min(waited_ms) AS min_ms, max(CASE WHEN nth = (total * 50 + 99) / 100 THEN waited_ms END) AS p50_ms, max(CASE WHEN nth = (total * 90 + 99) / 100 THEN waited_ms END) AS p90_ms, max(CASE WHEN nth = (total * 95 + 99) / 100 THEN waited_ms END) AS p95_ms, max(CASE WHEN nth = (total * 99 + 99) / 100 THEN waited_ms END) AS p99_ms, max(waited_ms) AS max_ms FROM (SELECT workflow, position, question, waited_ms, row_number() OVER (PARTITION BY workflow, coalesce(position, question) ORDER BY waited_ms) AS nth, count(*) OVER (PARTITION BY workflow, coalesce(position, question)) AS total FROM answers WHERE by_default = 0 AND waited_ms IS NOT NULL) GROUP BY workflow, coalesce(position, question);
CREATE VIEW default_answers AS SELECT sequence, at, at_ms, execution_id, workflow, owner, question, decision, assignees, waited_ms, interaction_id FROM answers WHERE by_default = 1;
CREATE VIEW four_eyes_violations AS SELECT sequence, at, at_ms, execution_id, workflow, owner, question, decision, answered_by, authority, interaction_id FROM answers WHERE four_eyes = 1 AND by_default = 0 AND owner = coalesce(answered_by, owner);
CREATE VIEW file_changes AS SELECT h.sequence, strftime('%Y-%m-%dT%H:%M:%fZ', h.time / 1000.0, 'unixepoch') AS at, h.time AS at_ms, h.event, h.execution_id, h.actor, h.cause, h.detail FROM history AS h WHERE (h.execution_id IS NULL AND h.event <> 'swept') OR h.event = 'payloads_erased';
CREATE TRIGGER history_is_never_changed BEFORE UPDATE ON history WHEN NEW.detail IS NOT NULL OR NEW.sequence IS NOT OLD.sequence OR NEW.execution_id IS NOT OLD.execution_id OR NEW.event IS NOT OLD.event OR NEW.wait_id IS NOT OLD.wait_id OR NEW.from_status IS NOT OLD.from_status OR NEW.to_status IS NOT OLD.to_status OR NEW.actor IS NOT OLD.actor OR NEW.cause IS NOT OLD.cause OR NEW.time IS NOT OLD.time OR NEW.detail_sha256 IS NOT OLD.detail_sha256 OR NEW.digest IS NOT OLD.digest OR NOT EXISTS (SELECT 1 FROM erasures WHERE sequence = OLD.sequence) BEGIN SELECT RAISE(ABORT, 'history is append-only'); END;
CREATE TRIGGER erasures_are_told_of BEFORE INSERT ON erasures WHEN NOT EXISTS (SELECT 1 FROM history AS e, json_each(e.detail, '$.sequences') AS named WHERE e.sequence = NEW.ordered AND e.event = 'payloads_erased' AND e.sequence > NEW.sequence AND named.value = NEW.sequence) BEGIN SELECT RAISE(ABORT, 'an erasure is told of by a later row of history that names it'); END;
CREATE TRIGGER erasures_are_never_changed BEFORE UPDATE ON erasures BEGIN SELECT RAISE(ABORT, 'an erasure stays'); END;
CREATE TRIGGER erasures_go_with_the_history BEFORE DELETE ON erasures WHEN OLD.sequence > (SELECT sequence FROM history_anchor) BEGIN SELECT RAISE(ABORT, 'an erasure stays'); END;
CREATE UNIQUE INDEX runs_start_is_unique ON runs (start_sha256) WHERE start_sha256 IS NOT NULL;
CREATE INDEX executions_asleep ON executions (wake_at) WHERE wake_at IS NOT NULL;
CREATE INDEX executions_claimed ON executions (lease) WHERE ready IS NOT NULL AND lease IS NOT NULL;
CREATE INDEX executions_with_a_problem ON executions ("key") WHERE problem IS NOT NULL;
CREATE TRIGGER executions_move_as_the_lifecycle_allows BEFORE UPDATE ON executions WHEN NEW.key IS NOT OLD.key OR NEW.id IS NOT OLD.id OR NEW.created_at IS NOT OLD.created_at OR (OLD.status <> NEW.status AND NOT (OLD.status = 'running' AND (NEW.status = 'interaction_required' OR NEW.status = 'oauth_required' OR NEW.status = 'completed' OR NEW.status = 'failed' OR NEW.status = 'cancelled') OR OLD.status = 'interaction_required' AND (NEW.status = 'oauth_required' OR NEW.status = 'running' OR NEW.status = 'failed' OR NEW.status = 'cancelled') OR OLD.status = 'oauth_required' AND (NEW.status = 'interaction_required' OR NEW.status = 'running' OR NEW.status = 'failed' OR NEW.status = 'cancelled') OR OLD.status = 'failed' AND (NEW.status = 'running'))) OR ((OLD.status = 'completed' OR OLD.status = 'failed' OR OLD.status = 'cancelled') AND NEW.status = OLD.status AND (NEW.completed_at IS NOT OLD.completed_at OR NEW.result IS NOT OLD.result OR NEW.error IS NOT OLD.error OR NEW.error_code IS NOT OLD.error_code)) BEGIN SELECT RAISE(ABORT, 'illegal transition of an execution, or a change of what stays'); END;
CREATE VIEW recoveries AS SELECT h.sequence, strftime('%Y-%m-%dT%H:%M:%fZ', h.time / 1000.0, 'unixepoch') AS at, h.time AS at_ms, h.execution_id, json_extract(c.detail, '$.workflow') AS workflow, json_extract(c.detail, '$.owner') AS owner, h.event, h.to_status AS status, h.cause, json_extract(h.detail, '$.attempt') AS attempt, json_extract(h.detail, '$.code') AS error_code FROM history AS h LEFT JOIN history AS c ON c.execution_id = h.execution_id AND c.event = 'execution_created' WHERE h.event = 'execution_recovered' OR (h.event = 'execution_failed' AND h.cause IN ('recover', 'attempts exhausted')) OR h.event IN ('execution_retried');
CREATE VIEW sweeps AS SELECT g.sequence, strftime('%Y-%m-%dT%H:%M:%fZ', g.time / 1000.0, 'unixepoch') AS at, g.time AS at_ms, g.execution_id, json_extract(c.detail, '$.workflow') AS workflow, json_extract(c.detail, '$.owner') AS owner, g.how, g.actor, e.to_status AS status, strftime('%Y-%m-%dT%H:%M:%fZ', e.time / 1000.0, 'unixepoch') AS ended_at FROM (SELECT s.sequence, s.time, gone.value AS execution_id, 'swept' AS how, s.actor FROM history AS s JOIN json_each(s.detail, '$.execution_ids') AS gone WHERE s.execution_id IS NULL AND s.event = 'swept' UNION ALL SELECT sequence, time, execution_id, 'removed', actor FROM history WHERE event = 'execution_removed') AS g LEFT JOIN history AS c ON c.execution_id = g.execution_id AND c.event = 'execution_created' LEFT JOIN history AS e ON e.execution_id = g.execution_id AND e.sequence = (SELECT max(l.sequence) FROM history AS l WHERE l.execution_id = g.execution_id AND l.event IN ('execution_completed', 'execution_failed', 'execution_cancelled'));
CREATE INDEX executions_by_owner ON executions (owner) WHERE owner IS NOT NULL;
CREATE INDEX executions_by_status ON executions (status);
CREATE INDEX executions_by_workflow ON executions (workflow) WHERE workflow IS NOT NULL;
CREATE INDEX kept_keys_expire ON kept_keys (expires_at);
CREATE INDEX interactions_open_of_execution ON interactions (execution_key, opened, assignees) WHERE status = 'pending';
CREATE INDEX executions_ready ON executions (owner, "key") WHERE ready = 1 AND lease IS NULL;
CREATE INDEX executions_getting_nowhere ON executions (attempts, "key") WHERE ready = 1 AND lease IS NULL AND attempts > 0;
CREATE TRIGGER executions_labels_stay BEFORE UPDATE OF workflow, owner, priority ON executions WHEN NEW.workflow IS NOT OLD.workflow OR NEW.owner IS NOT OLD.owner OR NEW.priority IS NOT OLD.priority BEGIN SELECT RAISE(ABORT, 'what an execution was started with stays'); END;
CREATE TRIGGER interactions_deadlines_stay BEFORE UPDATE OF deadline_at ON interactions WHEN NEW.deadline_at IS NOT OLD.deadline_at BEGIN SELECT RAISE(ABORT, 'the deadline of a prompt stays'); END;
CREATE TRIGGER consents_deadlines_stay BEFORE UPDATE OF deadline_at ON consents WHEN NEW.deadline_at IS NOT OLD.deadline_at BEGIN SELECT RAISE(ABORT, 'the deadline of a consent stays'); END;
CREATE TRIGGER runs_beginnings_stay BEFORE UPDATE OF execution_key, version, input ON runs WHEN NEW.execution_key IS NOT OLD.execution_key OR NEW.version IS NOT OLD.version OR NEW.input IS NOT OLD.input BEGIN SELECT RAISE(ABORT, 'what a run began with stays'); END;
CREATE TRIGGER journal_results_stay BEFORE UPDATE OF execution_key, position, kind, name, result ON journal WHEN OLD.result IS NOT NULL AND (NEW.execution_key IS NOT OLD.execution_key OR NEW.kind IS NOT OLD.kind OR NEW.name IS NOT OLD.name OR NEW.result IS NOT OLD.result OR (NEW.position IS NOT OLD.position AND instr(NEW.position, OLD.position || '~') <> 1)) BEGIN SELECT RAISE(ABORT, 'what was recorded stays'); END;
CREATE VIEW execution_timeline AS SELECT h.sequence, strftime('%Y-%m-%dT%H:%M:%fZ', h.time / 1000.0, 'unixepoch') AS at, h.time AS at_ms, h.execution_id, h.time - c.time AS after_ms, h.event, h.to_status AS status, h.actor, h.cause, coalesce(json_extract(h.detail, '$.prompt.text'), json_extract(h.detail, '$.error'), json_extract(h.detail, '$.problem'), coalesce(json_extract(h.detail, '$.response.selected_option.label'), (SELECT group_concat(json_extract(value, '$.label'), ', ') FROM json_each(h.detail, '$.response.selected_options')), json_extract(h.detail, '$.response.text'), CASE json_extract(h.detail, '$.response.action') WHEN 'decline' THEN 'declined' ELSE (SELECT group_concat(key || ': ' || CASE type WHEN 'true' THEN 'yes' WHEN 'false' THEN 'no' ELSE value END, ', ') FROM json_each(h.detail, '$.response.content')) END), h.cause) AS about, h.wait_id, h.detail FROM history AS h LEFT JOIN history AS c ON c.execution_id = h.execution_id AND c.event = 'execution_created' WHERE h.execution_id IS NOT NULL UNION ALL SELECT s.sequence, strftime('%Y-%m-%dT%H:%M:%fZ', s.time / 1000.0, 'unixepoch') AS at, s.time AS at_ms, gone.value, s.time - c.time, 'swept', NULL, s.actor, s.cause, s.cause, NULL, NULL FROM history AS s JOIN json_each(s.detail, '$.execution_ids') AS gone LEFT JOIN history AS c ON c.execution_id = gone.value AND c.event = 'execution_created' WHERE s.execution_id IS NULL AND s.event = 'swept';
CREATE INDEX sessions_of_actor ON sessions (actor);
CREATE INDEX sessions_to_sweep ON sessions (ends_at);
CREATE TRIGGER sessions_rights_stay BEFORE UPDATE OF token_sha256, id, actor, groups, roles, provider, bearer_sha256, created_at, expires_at ON sessions WHEN NEW.token_sha256 IS NOT OLD.token_sha256 OR NEW.id IS NOT OLD.id OR NEW.actor IS NOT OLD.actor OR NEW.groups IS NOT OLD.groups OR NEW.roles IS NOT OLD.roles OR NEW.provider IS NOT OLD.provider OR NEW.bearer_sha256 IS NOT OLD.bearer_sha256 OR NEW.created_at IS NOT OLD.created_at OR NEW.expires_at IS NOT OLD.expires_at BEGIN SELECT RAISE(ABORT, 'what a session began with stays'); END;
CREATE INDEX outbox_due ON outbox (channel, due_at) WHERE status = 'pending' AND lease IS NULL;
CREATE INDEX outbox_of_execution ON outbox (execution_id, wait_id);
CREATE INDEX outbox_leased ON outbox (lease) WHERE lease IS NOT NULL;
CREATE INDEX outbox_given_up ON outbox (route) WHERE status = 'given_up';
CREATE TRIGGER history_makes_notices_moot AFTER INSERT ON history WHEN NEW.wait_id IS NOT NULL AND EXISTS (SELECT 1 FROM outbox WHERE execution_id = NEW.execution_id AND wait_id = NEW.wait_id) BEGIN UPDATE outbox SET status = 'moot', ended_at = NEW.time, due_at = NULL WHERE execution_id = NEW.execution_id AND wait_id = NEW.wait_id AND sequence < NEW.sequence AND (status = 'pending' OR status = 'given_up') AND asks = 1 AND (json_extract(NEW.detail, '$.assignees') IS NOT NULL OR NOT (EXISTS (SELECT 1 FROM executions AS e JOIN interactions AS i ON i.execution_key = e.key WHERE e.id = NEW.execution_id AND i.id = NEW.wait_id AND i.status = 'pending') OR EXISTS (SELECT 1 FROM executions AS e JOIN consents AS c ON c.execution_key = e.key WHERE e.id = NEW.execution_id AND c.id = NEW.wait_id AND (c.status = 'pending' OR c.status = 'exchanging')))); END;
CREATE TRIGGER history_is_told AFTER INSERT ON history WHEN NEW.execution_id IS NOT NULL AND EXISTS (SELECT 1 FROM routes WHERE event = NEW.event) BEGIN INSERT INTO outbox (id, sequence, route, channel, execution_id, wait_id, asks, status, attempts, created_at, due_at, give_up_at) SELECT printf('%08x-%04x-7%03x-%04x-%012x', NEW.time >> 16, NEW.time & 65535, random() & 4095, 32768 | (random() & 16383), random() & 281474976710655), NEW.sequence, r.name, r.channel, NEW.execution_id, NEW.wait_id, r.asks, 'pending', 0, NEW.time, CASE WHEN r.disabled_at IS NULL THEN NEW.time END, NEW.time + 604800000 FROM routes AS r JOIN executions AS e ON e.id = NEW.execution_id WHERE r.event = NEW.event AND (r.workflows IS NULL OR e.workflow IN (SELECT value FROM json_each(r.workflows))) AND (r.owners IS NULL OR e.owner IN (SELECT value FROM json_each(r.owners))) AND (r.assignees IS NULL OR EXISTS (SELECT 1 FROM interactions AS i, json_each(i.assignees) AS a WHERE i.execution_key = e.key AND i.id = NEW.wait_id AND a.value IN (SELECT value FROM json_each(r.assignees)))); END;
CREATE INDEX votes_by_voter ON votes (voter, voted_at);
CREATE INDEX interactions_by_answerer ON interactions (answered_by, execution_key, closed_at) WHERE answered_by IS NOT NULL;
CREATE TRIGGER interactions_move_as_the_lifecycle_allows BEFORE UPDATE ON interactions WHEN NEW.key IS NOT OLD.key OR NEW.id IS NOT OLD.id OR NEW.execution_key IS NOT OLD.execution_key OR NEW.opened IS NOT OLD.opened OR NEW.created_at IS NOT OLD.created_at OR NEW.four_eyes IS NOT OLD.four_eyes OR NEW.on_deadline IS NOT OLD.on_deadline OR NEW.priority IS NOT OLD.priority OR NEW.due_at IS NOT OLD.due_at OR NEW.excluded IS NOT OLD.excluded OR NEW.votes IS NOT OLD.votes OR (OLD.status <> NEW.status AND NOT (OLD.status = 'pending' AND (NEW.status = 'answered' OR NEW.status = 'expired' OR NEW.status = 'withdrawn'))) OR ((OLD.status = 'answered' OR OLD.status = 'expired' OR OLD.status = 'withdrawn') AND (NEW.status IS NOT OLD.status OR NEW.answered_by IS NOT OLD.answered_by OR NEW.closed_at IS NOT OLD.closed_at OR NEW.assignees IS NOT OLD.assignees OR NEW.claimed_by IS NOT OLD.claimed_by OR NEW.claimed_at IS NOT OLD.claimed_at)) OR (NEW.status = 'answered' AND OLD.four_eyes = 1 AND NEW.answered_by = (SELECT owner FROM executions WHERE key = OLD.execution_key)) OR (NEW.status = 'answered' AND OLD.excluded IS NOT NULL AND NEW.answered_by IN (SELECT value FROM json_each(OLD.excluded))) OR (NEW.status = 'answered' AND NEW.answered_by <> OLD.claimed_by) OR NEW.claimed_by <> OLD.claimed_by OR (OLD.votes IS NOT NULL AND (NEW.claimed_by IS NOT NULL OR (OLD.status = 'pending' AND NEW.status = 'answered' AND (NEW.answered_by IS NOT NULL OR (NEW.response IS NOT OLD.default_response AND OLD.votes > (SELECT count(*) FROM votes WHERE interaction_key = OLD.key AND json_remove(response, '$.comment') = NEW.response)))))) OR ((NEW.prompt IS NOT OLD.prompt OR NEW.default_response IS NOT OLD.default_response OR (OLD.status <> 'pending' AND NEW.response IS NOT OLD.response)) AND (OLD.status = 'pending' OR NOT EXISTS (SELECT 1 FROM history JOIN erasures USING (sequence) WHERE wait_id = OLD.id AND execution_id = (SELECT id FROM executions WHERE key = OLD.execution_key)))) BEGIN SELECT RAISE(ABORT, 'illegal transition of an interaction, or a change of what stays'); END;
CREATE TRIGGER votes_are_of_those_who_may_answer BEFORE INSERT ON votes WHEN EXISTS (SELECT 1 FROM votes WHERE interaction_key = NEW.interaction_key AND voter = NEW.voter) OR NOT EXISTS (SELECT 1 FROM interactions AS i WHERE i.key = NEW.interaction_key AND i.status = 'pending' AND i.votes IS NOT NULL AND NOT (i.four_eyes IS 1 AND NEW.voter IS (SELECT owner FROM executions WHERE key = i.execution_key)) AND (i.excluded IS NULL OR NEW.voter NOT IN (SELECT value FROM json_each(i.excluded)))) BEGIN SELECT RAISE(ABORT, 'one vote of each person who may answer, while the prompt is open'); END;
CREATE TRIGGER votes_stay BEFORE UPDATE ON votes WHEN NEW.interaction_key IS NOT OLD.interaction_key OR NEW.voter IS NOT OLD.voter OR NEW.sequence IS NOT OLD.sequence OR NEW.voted_at IS NOT OLD.voted_at OR (NEW.response IS NOT OLD.response AND NOT EXISTS (SELECT 1 FROM erasures WHERE sequence = OLD.sequence)) BEGIN SELECT RAISE(ABORT, 'a vote stays'); END;
CREATE TRIGGER votes_go_with_their_prompt BEFORE DELETE ON votes WHEN EXISTS (SELECT 1 FROM interactions WHERE key = OLD.interaction_key) BEGIN SELECT RAISE(ABORT, 'a vote goes only with its prompt'); END;
CREATE VIEW approvals AS SELECT sequence, at, at_ms, execution_id, workflow, owner, question, decision, approved, answered_by AS approved_by, authority, by_default, interaction_id, comment, is_vote, outcome FROM answers WHERE coalesce(json_extract(response, '$.type'), '') NOT IN ('text', 'notification');
CREATE VIEW told AS SELECT h.sequence, strftime('%Y-%m-%dT%H:%M:%fZ', h.time / 1000.0, 'unixepoch') AS at, h.time AS at_ms, h.execution_id, json_extract(c.detail, '$.workflow') AS workflow, json_extract(c.detail, '$.owner') AS owner, CASE h.event WHEN 'notice_delivered' THEN 'delivered' ELSE 'given up' END AS outcome, json_extract(h.detail, '$.recipient') AS recipient, json_extract(h.detail, '$.channel') AS channel, json_extract(h.detail, '$.route') AS route, json_extract(h.detail, '$.event') AS told, h.wait_id AS interaction_id, json_extract(q.detail, '$.prompt.text') AS question, strftime('%Y-%m-%dT%H:%M:%fZ', o.time / 1000.0, 'unixepoch') AS opened_at, a.actor AS answered_by, strftime('%Y-%m-%dT%H:%M:%fZ', a.time / 1000.0, 'unixepoch') AS answered_at, a.time - h.time AS answered_after_ms, json_extract(h.detail, '$.attempts') AS attempts, json_extract(h.detail, '$.notice') AS notice FROM history AS h LEFT JOIN history AS c ON c.execution_id = h.execution_id AND c.event = 'execution_created' LEFT JOIN history AS q ON q.execution_id = h.execution_id AND q.wait_id = h.wait_id AND q.event = 'interaction_asked' LEFT JOIN history AS a ON a.execution_id = h.execution_id AND a.wait_id = h.wait_id AND a.event = 'interaction_answered' LEFT JOIN history AS o ON o.execution_id = h.execution_id AND o.wait_id = h.wait_id AND o.event = 'notice_opened' AND json_extract(o.detail, '$.notice') = json_extract(h.detail, '$.notice') WHERE h.event IN ('notice_delivered', 'notice_given_up');
CREATE TRIGGER interactions_are_assigned AFTER INSERT ON interactions BEGIN INSERT OR IGNORE INTO assignments (name, due, urgency, opened, interaction_key, workflow) VALUES ('', min(coalesce(NEW.due_at, 9223372036854775807), coalesce(NEW.deadline_at, 9223372036854775807)), -coalesce(NEW.priority, (SELECT priority FROM executions WHERE key = NEW.execution_key)), NEW.opened, NEW.key, (SELECT workflow FROM executions WHERE key = NEW.execution_key)); INSERT OR IGNORE INTO assignments (name, due, urgency, opened, interaction_key, workflow) SELECT value, min(coalesce(NEW.due_at, 9223372036854775807), coalesce(NEW.deadline_at, 9223372036854775807)), -coalesce(NEW.priority, (SELECT priority FROM executions WHERE key = NEW.execution_key)), NEW.opened, NEW.key, (SELECT workflow FROM executions WHERE key = NEW.execution_key) FROM json_each(NEW.assignees) WHERE NEW.assignees IS NOT NULL; INSERT OR IGNORE INTO assignments (name, due, urgency, opened, interaction_key, workflow) SELECT owner, min(coalesce(NEW.due_at, 9223372036854775807), coalesce(NEW.deadline_at, 9223372036854775807)), -coalesce(NEW.priority, (SELECT priority FROM executions WHERE key = NEW.execution_key)), NEW.opened, NEW.key, (SELECT workflow FROM executions WHERE key = NEW.execution_key) FROM executions WHERE key = NEW.execution_key AND NEW.assignees IS NULL AND owner IS NOT NULL; END;
CREATE TRIGGER interactions_are_assigned_anew AFTER UPDATE OF assignees ON interactions WHEN NEW.status = 'pending' BEGIN DELETE FROM assignments WHERE name = '' AND due = min(coalesce(OLD.due_at, 9223372036854775807), coalesce(OLD.deadline_at, 9223372036854775807)) AND urgency = -coalesce(OLD.priority, (SELECT priority FROM executions WHERE key = OLD.execution_key)) AND opened = OLD.opened; DELETE FROM assignments WHERE OLD.assignees IS NOT NULL AND name IN (SELECT value FROM json_each(OLD.assignees)) AND due = min(coalesce(OLD.due_at, 9223372036854775807), coalesce(OLD.deadline_at, 9223372036854775807)) AND urgency = -coalesce(OLD.priority, (SELECT priority FROM executions WHERE key = OLD.execution_key)) AND opened = OLD.opened; DELETE FROM assignments WHERE OLD.assignees IS NULL AND name = (SELECT owner FROM executions WHERE key = OLD.execution_key) AND due = min(coalesce(OLD.due_at, 9223372036854775807), coalesce(OLD.deadline_at, 9223372036854775807)) AND urgency = -coalesce(OLD.priority, (SELECT priority FROM executions WHERE key = OLD.execution_key)) AND opened = OLD.opened; INSERT OR IGNORE INTO assignments (name, due, urgency, opened, interaction_key, workflow) VALUES ('', min(coalesce(NEW.due_at, 9223372036854775807), coalesce(NEW.deadline_at, 9223372036854775807)), -coalesce(NEW.priority, (SELECT priority FROM executions WHERE key = NEW.execution_key)), NEW.opened, NEW.key, (SELECT workflow FROM executions WHERE key = NEW.execution_key)); INSERT OR IGNORE INTO assignments (name, due, urgency, opened, interaction_key, workflow) SELECT value, min(coalesce(NEW.due_at, 9223372036854775807), coalesce(NEW.deadline_at, 9223372036854775807)), -coalesce(NEW.priority, (SELECT priority FROM executions WHERE key = NEW.execution_key)), NEW.opened, NEW.key, (SELECT workflow FROM executions WHERE key = NEW.execution_key) FROM json_each(NEW.assignees) WHERE NEW.assignees IS NOT NULL; INSERT OR IGNORE INTO assignments (name, due, urgency, opened, interaction_key, workflow) SELECT owner, min(coalesce(NEW.due_at, 9223372036854775807), coalesce(NEW.deadline_at, 9223372036854775807)), -coalesce(NEW.priority, (SELECT priority FROM executions WHERE key = NEW.execution_key)), NEW.opened, NEW.key, (SELECT workflow FROM executions WHERE key = NEW.execution_key) FROM executions WHERE key = NEW.execution_key AND NEW.assignees IS NULL AND owner IS NOT NULL; END;
CREATE TRIGGER interactions_are_assigned_no_more AFTER UPDATE OF status ON interactions WHEN OLD.status = 'pending' AND NEW.status <> 'pending' BEGIN DELETE FROM assignments WHERE name = '' AND due = min(coalesce(NEW.due_at, 9223372036854775807), coalesce(NEW.deadline_at, 9223372036854775807)) AND urgency = -coalesce(NEW.priority, (SELECT priority FROM executions WHERE key = NEW.execution_key)) AND opened = NEW.opened; DELETE FROM assignments WHERE NEW.assignees IS NOT NULL AND name IN (SELECT value FROM json_each(NEW.assignees)) AND due = min(coalesce(NEW.due_at, 9223372036854775807), coalesce(NEW.deadline_at, 9223372036854775807)) AND urgency = -coalesce(NEW.priority, (SELECT priority FROM executions WHERE key = NEW.execution_key)) AND opened = NEW.opened; DELETE FROM assignments WHERE NEW.assignees IS NULL AND name = (SELECT owner FROM executions WHERE key = NEW.execution_key) AND due = min(coalesce(NEW.due_at, 9223372036854775807), coalesce(NEW.deadline_at, 9223372036854775807)) AND urgency = -coalesce(NEW.priority, (SELECT priority FROM executions WHERE key = NEW.execution_key)) AND opened = NEW.opened; END;
CREATE INDEX interactions_with_a_deadline ON interactions (deadline_at) WHERE status = 'pending' AND deadline_at IS NOT NULL;
CREATE INDEX reminders_due ON reminders (at) WHERE done_at IS NULL;
CREATE TRIGGER interactions_remind_no_more AFTER UPDATE OF status ON interactions WHEN OLD.status = 'pending' AND NEW.status <> 'pending' BEGIN DELETE FROM reminders WHERE interaction_key = NEW.key; END;
CREATE VIEW answers AS SELECT a.execution_id, a.wait_id AS interaction_id, a.actor AS answered_by, strftime('%Y-%m-%dT%H:%M:%fZ', a.time / 1000.0, 'unixepoch') AS answered_at, a.time AS answered_ms, strftime('%Y-%m-%dT%H:%M:%fZ', q.time / 1000.0, 'unixepoch') AS asked_at, a.time - q.time AS waited_ms, json_extract(q.detail, '$.prompt') AS prompt, json_extract(a.detail, '$.response') AS response, a.sequence, strftime('%Y-%m-%dT%H:%M:%fZ', a.time / 1000.0, 'unixepoch') AS at, a.time AS at_ms, json_extract(c.detail, '$.workflow') AS workflow, json_extract(c.detail, '$.owner') AS owner, json_extract(q.detail, '$.prompt.text') AS question, json_extract(q.detail, '$.position') AS position, coalesce(json_extract(a.detail, '$.response.selected_option.label'), (SELECT group_concat(json_extract(value, '$.label'), ', ') FROM json_each(a.detail, '$.response.selected_options')), json_extract(a.detail, '$.response.text'), CASE json_extract(a.detail, '$.response.action') WHEN 'decline' THEN 'declined' ELSE (SELECT group_concat(key || ': ' || CASE type WHEN 'true' THEN 'yes' WHEN 'false' THEN 'no' ELSE value END, ', ') FROM json_each(a.detail, '$.response.content')) END) AS decision, CASE WHEN json_type(a.detail, '$.response.selected_option.value') = 'true' THEN 1 WHEN json_type(a.detail, '$.response.selected_option.value') = 'false' THEN 0 WHEN json_extract(a.detail, '$.response.action') = 'decline' THEN 0 WHEN lower(json_extract(a.detail, '$.response.selected_option.id')) IN ('yes', 'y', 'true', 'ok', 'approve', 'approved', 'accept', 'allow', 'confirm', 'continue', 'grant') OR lower(json_extract(a.detail, '$.response.selected_option.value')) IN ('yes', 'y', 'true', 'ok', 'approve', 'approved', 'accept', 'allow', 'confirm', 'continue', 'grant') THEN 1 WHEN lower(json_extract(a.detail, '$.response.selected_option.id')) IN ('no', 'n', 'false', 'cancel', 'reject', 'rejected', 'decline', 'deny', 'denied', 'refuse', 'stop') OR lower(json_extract(a.detail, '$.response.selected_option.value')) IN ('no', 'n', 'false', 'cancel', 'reject', 'rejected', 'decline', 'deny', 'denied', 'refuse', 'stop') THEN 0 END AS approved, coalesce(a.cause IN ('deadline', 'undecided'), 0) AS by_default, coalesce((SELECT json_extract(d.detail, '$.assignees') FROM history AS d WHERE d.execution_id = a.execution_id AND d.wait_id = a.wait_id AND d.event IN ('interaction_delegated', 'interaction_reassigned', 'interaction_escalated') AND d.sequence < a.sequence ORDER BY d.sequence DESC LIMIT 1), json_extract(q.detail, '$.assignees')) AS assignees, coalesce(json_extract(q.detail, '$.four_eyes'), 0) AS four_eyes, json_extract(a.detail, '$.authority') AS authority, json_extract(a.detail, '$.groups') AS actor_groups, json_extract(a.detail, '$.roles') AS actor_roles, json_extract(a.detail, '$.response.comment') AS comment, a.event = 'interaction_voted' AS is_vote, CASE a.event WHEN 'interaction_voted' THEN (SELECT coalesce(json_extract(o.detail, '$.response.selected_option.label'), (SELECT group_concat(json_extract(value, '$.label'), ', ') FROM json_each(o.detail, '$.response.selected_options')), json_extract(o.detail, '$.response.text'), CASE json_extract(o.detail, '$.response.action') WHEN 'decline' THEN 'declined' ELSE (SELECT group_concat(key || ': ' || CASE type WHEN 'true' THEN 'yes' WHEN 'false' THEN 'no' ELSE value END, ', ') FROM json_each(o.detail, '$.response.content')) END) FROM history AS o WHERE o.execution_id = a.execution_id AND o.wait_id = a.wait_id AND o.event = 'interaction_answered') END AS outcome FROM history AS a LEFT JOIN history AS q ON q.execution_id = a.execution_id AND q.wait_id = a.wait_id AND q.event = 'interaction_asked' LEFT JOIN history AS c ON c.execution_id = a.execution_id AND c.event = 'execution_created' WHERE a.event IN ('interaction_voted', 'interaction_answered') AND a.cause IS NOT 'votes';
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('leases',1);
