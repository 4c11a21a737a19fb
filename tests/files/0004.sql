CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0004');
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
INSERT INTO "consents" VALUES(1,8,'01a3185c-5000-7135-b7c5-2580d67acc56','pending',17,'https://provider.example/authorize','state 1',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "consents" VALUES(2,9,'01a3185c-5000-78c6-92e3-b0c34b83a5df','pending',20,'https://provider.example/authorize','state 2',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
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
    error_code TEXT, secrets INTEGER,
    PRIMARY KEY ("key"),
    CONSTRAINT executions_id_is_unique UNIQUE (id),
    CONSTRAINT executions_status_is_known CHECK ((status = 'running' OR status = 'interaction_required' OR status = 'oauth_required' OR status = 'completed' OR status = 'failed' OR status = 'cancelled')),
    CONSTRAINT executions_completed_at_means_ended CHECK ((completed_at IS NOT NULL) = (status = 'completed' OR status = 'failed' OR status = 'cancelled')),
    CONSTRAINT executions_only_ended_ones_expire CHECK (expires_at IS NULL OR completed_at IS NOT NULL),
    CONSTRAINT executions_paused_means_open_waits CHECK ((open_waits > 0) = (status = 'interaction_required' OR status = 'oauth_required')),
    CONSTRAINT executions_result_is_json CHECK (result IS NULL OR json_valid(result))
);
INSERT INTO "executions" VALUES(1,'01a3185c-5000-7ccf-97d9-755b3a50b40a','running',1,0,'running','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "executions" VALUES(2,'01a3185c-5000-745c-a42f-b40bffcfdaa1','interaction_required',2,1,'asks text','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "executions" VALUES(3,'01a3185c-5000-7cfd-b861-05b5e980201e','interaction_required',2,1,'asks notification','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "executions" VALUES(4,'01a3185c-5000-7067-acc2-a1dbbcbb1c30','interaction_required',2,1,'asks binary_choice','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "executions" VALUES(5,'01a3185c-5000-77a6-ade4-41165fb9f578','interaction_required',2,1,'asks radio','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "executions" VALUES(6,'01a3185c-5000-79de-b3ab-c3968467fc6d','interaction_required',2,1,'asks checkbox','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "executions" VALUES(7,'01a3185c-5000-7b32-af8c-617b987aaad1','interaction_required',2,1,'asks dropdown','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "executions" VALUES(8,'01a3185c-5000-7e52-8cbc-c645a3be9c38','interaction_required',5,2,'asks several','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "executions" VALUES(9,'01a3185c-5000-7d45-826b-6d953c1b2d18','oauth_required',2,1,'consents','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "executions" VALUES(10,'01a3185c-5000-7fb0-a325-2b74b0cee12a','completed',2,0,'completed','ada',NULL,1800000000000,1800000000000,1800000600000,NULL,'{"price":[1,2.5,null,"é"]}',NULL,NULL,NULL);
INSERT INTO "executions" VALUES(11,'01a3185c-5000-796c-a63a-0fc21c4c684c','completed',2,0,'held','ada',NULL,1800000000000,1800000000000,1800000600000,'an audit','"held"',NULL,NULL,NULL);
INSERT INTO "executions" VALUES(12,'01a3185c-5000-7669-81f1-5e2a2eb6929e','failed',2,0,'failed','ada',NULL,1800000000000,1800000000000,NULL,NULL,NULL,'It failed.','planned',NULL);
INSERT INTO "executions" VALUES(13,'01a3185c-5000-77e9-8512-7b21117cb61d','cancelled',3,0,'cancelled','ada',NULL,1800000000000,1800000000000,1800000600000,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "executions" VALUES(14,'01a3185c-5000-7a7c-bdaa-64cee303ca9d','interaction_required',4,1,'paused.refund','bob',NULL,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "executions" VALUES(15,'01a3185c-5000-7e12-9119-dbb3c18d87c2','interaction_required',4,1,'paused.parallel','bob',NULL,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "executions" VALUES(16,'01a3185c-5000-7a75-ba66-95e423620501','running',1,0,'paused.asleep','bob',NULL,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
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
INSERT INTO "history" VALUES(1,'01a3185c-5000-7ccf-97d9-755b3a50b40a','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"running","owner":"ada"}',X'29EAE50C4B0E449B87519C9BF4AC8D61082DDD9B81EA99DC3C7B4624EBD3FD50',X'CCB2A49D877952073134E9160A71761AF822D1EF1EBD3177494F4E2730F5ECD1');
INSERT INTO "history" VALUES(2,'01a3185c-5000-745c-a42f-b40bffcfdaa1','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"asks text","owner":"ada"}',X'0FE8C861B445585011CA93295184F78CEB61DD212A0CF608B2B5D7CE64E7493E',X'9793EDF0C8229E6BD1D0BCB0322452140EA73500ACD25F07FFDB8F903CA8FEF7');
INSERT INTO "history" VALUES(3,'01a3185c-5000-745c-a42f-b40bffcfdaa1','interaction_asked','01a3185c-5000-736a-9f25-ed75f4cff0f7','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"What is your name?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}}',X'B2A2084F980F08BD1DCCB18407339FF01B0CD240083208BF0947449B9408EA30',X'2AF4169A3A347F5548BBDCDB97983CC138B5DB05D816281A258FD01A8C5C579B');
INSERT INTO "history" VALUES(4,'01a3185c-5000-7cfd-b861-05b5e980201e','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"asks notification","owner":"ada"}',X'0B33ED6E5C98A06597EC3F5220E20E8B637A6B0917EB3BB341A96BE4E7C71DEF',X'FD3DDAD6BE468BC4EE57D06D6A69BA953E6AA352A4FB4B8CEB8D3CF18ACC3B15');
INSERT INTO "history" VALUES(5,'01a3185c-5000-7cfd-b861-05b5e980201e','interaction_asked','01a3185c-5000-74a5-8b2d-fdb563ca5ed1','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"The report is ready.","timeout":null,"error":null,"input_type":"notification"}}',X'5511A5E12E64889D122C8EEAC74EDEE5218053B28A27B5BD7EEEA876079EF9FD',X'94620B4217DA123189F8AD84E41B72E7893495892DA01385E903328372199757');
INSERT INTO "history" VALUES(6,'01a3185c-5000-7067-acc2-a1dbbcbb1c30','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"asks binary_choice","owner":"ada"}',X'90C02E3B32BCC1D07CE2005F65A9F5242E74618890ADF8E03152F61639EE903D',X'E2E7B89799F095DF36068196095C2C8187A1D2A6B7BE0F684428E137E2AE79B4');
INSERT INTO "history" VALUES(7,'01a3185c-5000-7067-acc2-a1dbbcbb1c30','interaction_asked','01a3185c-5000-783f-b468-067b6014b5d8','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"Go on?","timeout":null,"error":null,"input_type":"binary_choice","options":[{"id":"yes","label":"Yes","value":true},{"id":"no","label":"No","value":false}]}}',X'395DA07F90CAE6D0BFEEFB7E987EC9B068E12296FE04FCF8FAE3D732CD74F36A',X'C27CFA9268F2B9286DAA45CF1C1B437D1BD099CA0B31A3EB275B683371DF4592');
INSERT INTO "history" VALUES(8,'01a3185c-5000-77a6-ade4-41165fb9f578','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"asks radio","owner":"ada"}',X'0ECBD5EDAF9E2D9D8837A3634323D11334188766C2B8A3589E288E7AA45DE338',X'E5B2AEE0CC4979B909FFE7C1D368AD3216EA3ADBF4E70897A6DEEC8F3B0B3BE0');
INSERT INTO "history" VALUES(9,'01a3185c-5000-77a6-ade4-41165fb9f578','interaction_asked','01a3185c-5000-7f45-a91e-39621bbf42db','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"How?","timeout":null,"error":null,"options":[{"id":"mail","label":"E-mail","value":"mail","description":"default"},{"id":"call","label":"Call","value":"call","description":"default"}],"input_type":"radio"}}',X'1B06EE8B790244DEE058959CC31908AD7A7433EE3E5B9BC19A11929C3BE666BD',X'4CA341B96E1AA92FE75195DDAAEB3C892CEBA185DE0994BB5D1F46B9F318BA6E');
INSERT INTO "history" VALUES(10,'01a3185c-5000-79de-b3ab-c3968467fc6d','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"asks checkbox","owner":"ada"}',X'C1F4F741FF01C5AC17D06D7280E47C78EEB0B6355646C2521C851D1D6A3EB328',X'9FD23EEFFAA9051E8A2C9D071DB667CC2A800187ABF6B8F56C9BAC5A97303920');
INSERT INTO "history" VALUES(11,'01a3185c-5000-79de-b3ab-c3968467fc6d','interaction_asked','01a3185c-5000-7ad7-accb-a53abb2b2e20','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"How?","timeout":null,"error":null,"options":[{"id":"mail","label":"E-mail","value":"mail","description":"default"},{"id":"call","label":"Call","value":"call","description":"default"}],"input_type":"checkbox"}}',X'BC3F1CB255202DF93FC26E572CCF9A880456A5EE1F600428F4592B3D1A9B18D8',X'4F8CC42560DBA53753F296C6A40F0D37B6B4E4CB8CCD23F7BF7431E8BF38F9DE');
INSERT INTO "history" VALUES(12,'01a3185c-5000-7b32-af8c-617b987aaad1','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"asks dropdown","owner":"ada"}',X'064B9D1D7A93D13429733A0F15458E218DB81FDE8E5D833CAE848343275B137C',X'FE33411D6787AFCD95619A122EC9AD9F4D08C681860C629168C0FCE528DEC268');
INSERT INTO "history" VALUES(13,'01a3185c-5000-7b32-af8c-617b987aaad1','interaction_asked','01a3185c-5000-7381-a9bb-f008540636b8','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"How?","timeout":null,"error":null,"options":[{"id":"mail","label":"E-mail","value":"mail","description":"default"},{"id":"call","label":"Call","value":"call","description":"default"}],"input_type":"dropdown"}}',X'90D6E07365CF6693622F1070C4801EF320C883CA9B22D30D4621BDAC9E0784F9',X'C4B21ED3E2CF89FD446A737731B9183C3742F19B733B007B724E00B7CF8F08AE');
INSERT INTO "history" VALUES(14,'01a3185c-5000-7e52-8cbc-c645a3be9c38','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"asks several","owner":"ada"}',X'B2E94E22E22893AC3F80125EA659536BCC8E8AD85B509E406F8F737512194D0D',X'AF697983A8AF7860B9D106200D33D7149F4274E2B510B3195A283603C54A096A');
INSERT INTO "history" VALUES(15,'01a3185c-5000-7e52-8cbc-c645a3be9c38','interaction_asked','first','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"What is your name?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}}',X'B2A2084F980F08BD1DCCB18407339FF01B0CD240083208BF0947449B9408EA30',X'C394D19078EA0677B251544599BE24A63283A5641D4ACA226F7058254C08A11F');
INSERT INTO "history" VALUES(16,'01a3185c-5000-7e52-8cbc-c645a3be9c38','interaction_asked','second','interaction_required','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"Go on?","timeout":null,"error":null,"input_type":"binary_choice","options":[{"id":"yes","label":"Yes","value":true},{"id":"no","label":"No","value":false}]}}',X'395DA07F90CAE6D0BFEEFB7E987EC9B068E12296FE04FCF8FAE3D732CD74F36A',X'75492D3318CC32DBBDAD0E72141B744AB6AB1926BF5081CB081F7FCD7018357C');
INSERT INTO "history" VALUES(17,'01a3185c-5000-7e52-8cbc-c645a3be9c38','consent_asked','01a3185c-5000-7135-b7c5-2580d67acc56','interaction_required','interaction_required',NULL,NULL,1800000000000,NULL,NULL,X'03F8F46A16D1BB477C60730F5568F8F54D61A8029D3D78ED808B9389C731FBE1');
INSERT INTO "history" VALUES(18,'01a3185c-5000-7e52-8cbc-c645a3be9c38','interaction_answered','first','interaction_required','interaction_required','grace',NULL,1800000000000,'{"response":{"type":"text","text":"Ada"}}',X'D9C0036DED1D58CC269160D399D37E08BD20369D2E0CC435C24C823554B8AE52',X'CFF1B51F8C0B45B02DD5BB612D9AE836BA3207127ED0F7BDE25BD310C7B0C8DF');
INSERT INTO "history" VALUES(19,'01a3185c-5000-7d45-826b-6d953c1b2d18','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"consents","owner":"ada"}',X'5E344D88E4C16D07E52220D429155F4B975BE51BE4E190C0BFF16857769DCEE4',X'5D596703A9B955AD18395F44C4DD4D6A59A62170C82F0408E09E3FEA6EF28C0B');
INSERT INTO "history" VALUES(20,'01a3185c-5000-7d45-826b-6d953c1b2d18','consent_asked','01a3185c-5000-78c6-92e3-b0c34b83a5df','running','oauth_required',NULL,NULL,1800000000000,NULL,NULL,X'EA1F5A121405BAB6E00A641165713568C5FA50F12259A1DD6A657C4F47EA8AD3');
INSERT INTO "history" VALUES(21,'01a3185c-5000-7fb0-a325-2b74b0cee12a','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"completed","owner":"ada"}',X'621AA87ED460C0E333DB418353863ED7613B0BB97EB3B9D7421C5CABC0E110A4',X'13286E6A94640C2FA43C5839515C51F1A1A6707462D5EDF871A392550CCEF0E9');
INSERT INTO "history" VALUES(22,'01a3185c-5000-7fb0-a325-2b74b0cee12a','execution_completed',NULL,'running','completed',NULL,NULL,1800000000000,NULL,X'A41F7FAF3D298A56DD8960EDDAA3EC31FF033750D7FD8147CFFAC12AC44C035F',X'D73397210CD1B2C341D8A5818260B5E4641BF3DC2AA0B9D26DEDE9AD132D6A96');
INSERT INTO "history" VALUES(23,'01a3185c-5000-796c-a63a-0fc21c4c684c','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"held","owner":"ada"}',X'5EE31D19A260912F3D1356AB82EE55ADFA60D8231B7E5FE029ADF2EBB909A76D',X'A97B8AD4AD1B9ECD369DD7C9AFA909CF99562C6E8363C623B90299A2A4D3C73D');
INSERT INTO "history" VALUES(24,'01a3185c-5000-796c-a63a-0fc21c4c684c','execution_completed',NULL,'running','completed',NULL,NULL,1800000000000,NULL,X'FCD86AC6B458C22662F923D21C3E8AE570DEE43713FDAEDC2A1E3BA47F95992B',X'C938D5CAC59858AAC4D009D1A6CA065966716B9A280AD78CBD9294A3A5A44421');
INSERT INTO "history" VALUES(25,'01a3185c-5000-796c-a63a-0fc21c4c684c','execution_held',NULL,'completed','completed','otto','an audit',1800000000000,NULL,NULL,X'47B210F1B99BDAEEDA2BEFB90EA4BA11C905F058F7513E874B0D3367F048D209');
INSERT INTO "history" VALUES(26,'01a3185c-5000-7669-81f1-5e2a2eb6929e','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"failed","owner":"ada"}',X'721FEA088894166B82BCA4116D5A003892F6137D57ACCB49A5BDC19B458AB095',X'107E7A72E1578530D48139D307D841B3C72E6A60A188CFC30921BA28B7D47CB1');
INSERT INTO "history" VALUES(27,'01a3185c-5000-7669-81f1-5e2a2eb6929e','execution_failed',NULL,'running','failed',NULL,NULL,1800000000000,'{"error":"It failed.","code":"planned"}',X'8E98F618CB5674EC65A73EE16E02BD1B3E560594CA6543CC2B8477FB4BE2DB99',X'D3DF3187BE6A2279FA9FA5A88025E536A447BB040CC32F89254132BC3067BD7E');
INSERT INTO "history" VALUES(28,'01a3185c-5000-77e9-8512-7b21117cb61d','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"cancelled","owner":"ada"}',X'3540840F0B8001DE8FE4E27B702608EF39AEEDE55FCB3EF99D47A155FC434718',X'284009992E831A2863253BA5005B42D272817CFA0B708878E51B4CC1A059274F');
INSERT INTO "history" VALUES(29,'01a3185c-5000-77e9-8512-7b21117cb61d','interaction_asked','01a3185c-5000-731d-9933-6e91222c20ba','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"What is your name?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}}',X'B2A2084F980F08BD1DCCB18407339FF01B0CD240083208BF0947449B9408EA30',X'2FD7AC253DF178B97FD55D62246A19D6CD7441CD31D54902794DAA546886F64A');
INSERT INTO "history" VALUES(30,'01a3185c-5000-77e9-8512-7b21117cb61d','execution_cancelled',NULL,'interaction_required','cancelled','ada','enough',1800000000000,NULL,NULL,X'D21EAB148D11E6BFF611D0D687B0FF04EAC8DEB40875B10AE4508308AF343D5D');
INSERT INTO "history" VALUES(31,'01a3185c-5000-77e9-8512-7b21117cb61d','interaction_withdrawn','01a3185c-5000-731d-9933-6e91222c20ba','cancelled','cancelled','ada','execution cancelled',1800000000000,NULL,NULL,X'12BE24FFEA294AD2FBF8976D43D00385B79F9F0B849A6EF52D1D17F343BFF51B');
INSERT INTO "history" VALUES(32,'01a3185c-5000-7ec2-9169-3be14a263921','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"removed","owner":"ada"}',X'C7BFF33DFC0EBAE8027EAAB6431E505A3A1A947A88924E8FBCF13B466E1B2F08',X'34624E7F8F77E602CE50E195C511952D3F7CC7E0631A808EDA33D29B6483148A');
INSERT INTO "history" VALUES(33,'01a3185c-5000-7ec2-9169-3be14a263921','execution_completed',NULL,'running','completed',NULL,NULL,1800000000000,NULL,X'74234E98AFE7498FB5DAF1F36AC2D78ACC339464F950703B8C019892F982B90B',X'73CE24675C9DF4D69A40C711FCD71F33B59536667800AD4F9C1E6CBC4D4CE6D4');
INSERT INTO "history" VALUES(34,'01a3185c-5000-7ec2-9169-3be14a263921','execution_removed',NULL,'completed',NULL,NULL,NULL,1800000000000,NULL,NULL,X'5521917BAFBC5C316A68C49CC7D94E2437EC86E907C6870506F820EB3892A9CD');
INSERT INTO "history" VALUES(35,'01a3185c-5000-7a7c-bdaa-64cee303ca9d','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"paused.refund","owner":"bob"}',X'3E0A647811ECDA1195E43708FB959766D802AAC9CAF32228240D7F3F94ABF1A6',X'375CB6D707C2CD0D374E32A2814D8F9C84677AE9BD501DE2F5561BDC73F8E289');
INSERT INTO "history" VALUES(36,'01a3185c-5000-7e12-9119-dbb3c18d87c2','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"paused.parallel","owner":"bob"}',X'15C6885A988EFE98A310031367D9D5A3D52CE7B77710C9A6C1320AA181BCCF8F',X'C7F7C5C583C100E923A8294755A511BB7438551ED390AA39A9747EE908D482E1');
INSERT INTO "history" VALUES(37,'01a3185c-5000-7e12-9119-dbb3c18d87c2','interaction_asked','01a3185c-5000-75f4-8542-6f3817f66ceb','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"Left?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true},"position":"1"}',X'6A4BAB402820F861B17C3D327688ACC93729C9C7C68F74AC276FFD3AAA5ECF02',X'5F0CF92AABF9CC4F615A139707E69CE38966BD058210429B50D9475B3872E8AD');
INSERT INTO "history" VALUES(38,'01a3185c-5000-7e12-9119-dbb3c18d87c2','interaction_asked','01a3185c-5000-7f56-a58d-e12dc10a84a7','interaction_required','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"Right?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true},"position":"2"}',X'942642E8F696F94D9B455CD009B17A638CF52ABB6EC91E23BAE1BD647F27105F',X'9791DF322F501C88A676C234004573E48DDC2B30FE6852BA322B8F0811D1BC85');
INSERT INTO "history" VALUES(39,'01a3185c-5000-7a75-ba66-95e423620501','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"paused.asleep","owner":"bob"}',X'75A0ABB8EB496D040890B74002208499AD8F36AD1C1FA888F72740A2D422B7ED',X'6E7EA6A762D7553ED8D184542E163B37B84093823D4A76592F04663C9616084D');
INSERT INTO "history" VALUES(40,'01a3185c-5000-7a7c-bdaa-64cee303ca9d','interaction_asked','01a3185c-5000-7ad8-9bab-3f099bf60a2b','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"Refund it?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true},"position":"2"}',X'EBB5F34B923B39773074CC1E8966AD951D5F65006132BEF32BC12D33A8DE7B4A',X'CF3D815A302C019320169D74D28C879A5DE506D2D75EBA24EF53C1465FFEC2FA');
INSERT INTO "history" VALUES(41,'01a3185c-5000-7a7c-bdaa-64cee303ca9d','interaction_answered','01a3185c-5000-7ad8-9bab-3f099bf60a2b','interaction_required','running',NULL,NULL,1800000000000,'{"response":{"type":"text","text":"Yes"}}',X'81BB75A9163C9087E6BAA956B06414EBD4EB2C4ECB044A9CF2DFD94A04C683CC',X'2710F703F64DC45A4EC0AC00CBED5DB3B20441501F722B7672EB8D0CED485619');
INSERT INTO "history" VALUES(42,'01a3185c-5000-7a7c-bdaa-64cee303ca9d','emitted',NULL,'running','running',NULL,NULL,1800000000000,'{"position":"3"}',X'8E966E08AF0AD169199A6805424E8A25F7977756101CDA707EEC502C5AF1879A',X'13F1DD68450D363F26969B58880B7290F17176648FC7B0B054E18663B5709B4A');
INSERT INTO "history" VALUES(43,'01a3185c-5000-7a7c-bdaa-64cee303ca9d','notified',NULL,'running','running',NULL,NULL,1800000000000,'{"position":"4"}',X'A02A51D324EA523DFB1B227D5E524BF638BBB1925F0F372479388839BE4C4518',X'E036AB0F21FAA9A2E453F8ECB92AE9B004DC2C18E1197B463C847D52940D135D');
INSERT INTO "history" VALUES(44,'01a3185c-5000-7a7c-bdaa-64cee303ca9d','interaction_asked','01a3185c-5000-71fb-a92a-4b709e2ec930','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"Why?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true},"assignees":["ada","group:finance"],"four_eyes":true,"position":"5"}',X'7E7FD0D1D1EBF5E5356217776A9FE21C26AA685FEEC0FA56099AF9B8502FCDAB',X'C9349ABFD801C0E2AC90394DF15A1ADBA75D8B9C115E6DCBD87FF7603885727A');
INSERT INTO "history" VALUES(45,'01a3185c-5000-7e12-9119-dbb3c18d87c2','interaction_answered','01a3185c-5000-75f4-8542-6f3817f66ceb','interaction_required','interaction_required',NULL,NULL,1800000000000,'{"response":{"type":"text","text":"L"}}',X'8F4A8C8A905145A1AB51E1CFEA8B71FB86497C134A2E1543917480233CAA0B4F',X'A11738A04F3ED6E3746F7483D41B98F35113D311B6156860734BB3D3913A79E9');
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
INSERT INTO "interactions" VALUES(1,2,'01a3185c-5000-736a-9f25-ed75f4cff0f7','pending',3,'{"text":"What is your name?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(2,3,'01a3185c-5000-74a5-8b2d-fdb563ca5ed1','pending',5,'{"text":"The report is ready.","timeout":null,"error":null,"input_type":"notification"}',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(3,4,'01a3185c-5000-783f-b468-067b6014b5d8','pending',7,'{"text":"Go on?","timeout":null,"error":null,"input_type":"binary_choice","options":[{"id":"yes","label":"Yes","value":true},{"id":"no","label":"No","value":false}]}',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(4,5,'01a3185c-5000-7f45-a91e-39621bbf42db','pending',9,'{"text":"How?","timeout":null,"error":null,"options":[{"id":"mail","label":"E-mail","value":"mail","description":"default"},{"id":"call","label":"Call","value":"call","description":"default"}],"input_type":"radio"}',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(5,6,'01a3185c-5000-7ad7-accb-a53abb2b2e20','pending',11,'{"text":"How?","timeout":null,"error":null,"options":[{"id":"mail","label":"E-mail","value":"mail","description":"default"},{"id":"call","label":"Call","value":"call","description":"default"}],"input_type":"checkbox"}',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(6,7,'01a3185c-5000-7381-a9bb-f008540636b8','pending',13,'{"text":"How?","timeout":null,"error":null,"options":[{"id":"mail","label":"E-mail","value":"mail","description":"default"},{"id":"call","label":"Call","value":"call","description":"default"}],"input_type":"dropdown"}',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(7,8,'first','answered',15,'{"text":"What is your name?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}',1800000000000,NULL,1800000000000,'{"type":"text","text":"Ada"}','grace',NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(8,8,'second','pending',16,'{"text":"Go on?","timeout":null,"error":null,"input_type":"binary_choice","options":[{"id":"yes","label":"Yes","value":true},{"id":"no","label":"No","value":false}]}',1800000000000,1807776000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(9,13,'01a3185c-5000-731d-9933-6e91222c20ba','withdrawn',29,'{"text":"What is your name?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}',1800000000000,NULL,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(10,15,'01a3185c-5000-75f4-8542-6f3817f66ceb','answered',37,'{"text":"Left?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}',1800000000000,1807776000000,1800000000000,'{"type":"text","text":"L"}',NULL,NULL,NULL,'fail',NULL);
INSERT INTO "interactions" VALUES(11,15,'01a3185c-5000-7f56-a58d-e12dc10a84a7','pending',38,'{"text":"Right?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(12,14,'01a3185c-5000-7ad8-9bab-3f099bf60a2b','answered',40,'{"text":"Refund it?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}',1800000000000,NULL,1800000000000,'{"type":"text","text":"Yes"}',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(13,14,'01a3185c-5000-71fb-a92a-4b709e2ec930','pending',44,'{"text":"Why?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}',1800000000000,NULL,NULL,NULL,NULL,'["ada","group:finance"]',1,NULL,NULL);
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
INSERT INTO "journal" VALUES(14,'2','ask','text','bc47e1cc074fbaa6','"01a3185c-5000-7ad8-9bab-3f099bf60a2b"',1800000000000,NULL,NULL,2,1);
INSERT INTO "journal" VALUES(14,'3','emit','data','811e41e444d0645d','{"price":8}',1800000000000,NULL,41,3,2);
INSERT INTO "journal" VALUES(14,'4','notify','notification','7c202b7df096b645','{"text":"Half of it is done.","timeout":null,"error":null,"input_type":"notification"}',1800000000000,NULL,42,4,3);
INSERT INTO "journal" VALUES(14,'5','ask','text','dc55d7455cfcb19f','"01a3185c-5000-71fb-a92a-4b709e2ec930"',1800000000000,NULL,NULL,NULL,4);
INSERT INTO "journal" VALUES(15,'1','ask','text','46166b3303042d80','"01a3185c-5000-75f4-8542-6f3817f66ceb"',1800000000000,NULL,NULL,NULL,0);
INSERT INTO "journal" VALUES(15,'2','ask','text','82e36f12e8efca86','"01a3185c-5000-7f56-a58d-e12dc10a84a7"',1800000000000,NULL,NULL,NULL,0);
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
