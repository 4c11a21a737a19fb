CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0007');
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
INSERT INTO "consents" VALUES(1,8,'01a3185c-5000-7a60-b763-b12ca54fd794','pending',17,'https://provider.example/authorize','state 1',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "consents" VALUES(2,9,'01a3185c-5000-7f72-81eb-648557ec014e','pending',20,'https://provider.example/authorize','state 2',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
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
INSERT INTO "executions" VALUES(1,'01a3185c-5000-787f-948d-8a38c15df220','running',1,0,'running','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(2,'01a3185c-5000-7a09-9d02-a505eea3c824','interaction_required',2,1,'asks text','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(3,'01a3185c-5000-7c61-bf79-fa9da687d554','interaction_required',2,1,'asks notification','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(4,'01a3185c-5000-794e-8b53-75a61470858b','interaction_required',2,1,'asks binary_choice','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(5,'01a3185c-5000-77df-8fcf-0f72b5d59dd5','interaction_required',2,1,'asks radio','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(6,'01a3185c-5000-7a67-829f-708acfb0ddbb','interaction_required',2,1,'asks checkbox','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(7,'01a3185c-5000-72de-a43d-dcd9928ff20f','interaction_required',2,1,'asks dropdown','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(8,'01a3185c-5000-79cd-abca-1373cc8b9b8f','interaction_required',5,2,'asks several','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(9,'01a3185c-5000-7333-8bac-3ff991a32658','oauth_required',2,1,'consents','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(10,'01a3185c-5000-7d0b-aafb-c98b8269cb67','completed',2,0,'completed','ada',NULL,1800000000000,1800000000000,1800000600000,NULL,'{"price":[1,2.5,null,"é"]}',NULL,NULL,NULL,0,0,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(11,'01a3185c-5000-74ed-b1c6-1a920cb39851','completed',2,0,'held','ada',NULL,1800000000000,1800000000000,1800000600000,'an audit','"held"',NULL,NULL,NULL,0,0,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(12,'01a3185c-5000-72dc-aa5c-7c1ed1c58e7e','failed',2,0,'failed','ada',NULL,1800000000000,1800000000000,NULL,NULL,NULL,'It failed.','planned',NULL,0,0,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(13,'01a3185c-5000-778a-88dd-a88f13d0104a','cancelled',3,0,'cancelled','ada',NULL,1800000000000,1800000000000,1800000600000,NULL,NULL,NULL,NULL,NULL,0,0,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(14,'01a3185c-5000-7a9f-9d06-525c9221ac16','interaction_required',4,1,'paused.refund','bob',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,1,1,0,NULL,NULL);
INSERT INTO "executions" VALUES(15,'01a3185c-5000-7b77-9807-f8767315ebbc','interaction_required',4,1,'paused.parallel','bob',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,1,1,0,NULL,NULL);
INSERT INTO "executions" VALUES(16,'01a3185c-5000-75e6-98b0-39e605fe18bb','running',1,0,'paused.asleep','bob',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,1,0,0,NULL,NULL);
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
INSERT INTO "history" VALUES(1,'01a3185c-5000-787f-948d-8a38c15df220','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"running","owner":"ada"}',X'29EAE50C4B0E449B87519C9BF4AC8D61082DDD9B81EA99DC3C7B4624EBD3FD50',X'040BD9F9BF50B3AE5E3C4BD94FC10D2A0A60444C57CCE69B3FC9797ECA5B9235');
INSERT INTO "history" VALUES(2,'01a3185c-5000-7a09-9d02-a505eea3c824','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"asks text","owner":"ada"}',X'0FE8C861B445585011CA93295184F78CEB61DD212A0CF608B2B5D7CE64E7493E',X'152360AF770A719058729C3B433F327FBF4F250E33FE2B80CB179B842A419A79');
INSERT INTO "history" VALUES(3,'01a3185c-5000-7a09-9d02-a505eea3c824','interaction_asked','01a3185c-5000-78e3-a2ed-520a8bf4c7d7','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"What is your name?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}}',X'B2A2084F980F08BD1DCCB18407339FF01B0CD240083208BF0947449B9408EA30',X'41E19FD674D5838ADF17FD3E313199FFB296925BC54E26D0B83ED6B226BCBCBB');
INSERT INTO "history" VALUES(4,'01a3185c-5000-7c61-bf79-fa9da687d554','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"asks notification","owner":"ada"}',X'0B33ED6E5C98A06597EC3F5220E20E8B637A6B0917EB3BB341A96BE4E7C71DEF',X'6E93A5F61C3837E60D82158D8EA13B4A5D0BB69647FD77E910EE4152F84B6281');
INSERT INTO "history" VALUES(5,'01a3185c-5000-7c61-bf79-fa9da687d554','interaction_asked','01a3185c-5000-731c-b2b2-3bbfd848d59b','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"The report is ready.","timeout":null,"error":null,"input_type":"notification"}}',X'5511A5E12E64889D122C8EEAC74EDEE5218053B28A27B5BD7EEEA876079EF9FD',X'EBCB34CB86861EBD87CD44F5C8506944AD2D1304ADF69ED3FA780BE29B3371B8');
INSERT INTO "history" VALUES(6,'01a3185c-5000-794e-8b53-75a61470858b','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"asks binary_choice","owner":"ada"}',X'90C02E3B32BCC1D07CE2005F65A9F5242E74618890ADF8E03152F61639EE903D',X'FD149EB3CC643C7F96B05977B9182FE98A180FDA3482BBB72CAEFFB3FB1BCAF2');
INSERT INTO "history" VALUES(7,'01a3185c-5000-794e-8b53-75a61470858b','interaction_asked','01a3185c-5000-73f5-978f-538cba766c23','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"Go on?","timeout":null,"error":null,"input_type":"binary_choice","options":[{"id":"yes","label":"Yes","value":true},{"id":"no","label":"No","value":false}]}}',X'395DA07F90CAE6D0BFEEFB7E987EC9B068E12296FE04FCF8FAE3D732CD74F36A',X'506E837345731CC38917610A4CD1985FECC9E32D1F6BAA5855064E38D8DC9B02');
INSERT INTO "history" VALUES(8,'01a3185c-5000-77df-8fcf-0f72b5d59dd5','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"asks radio","owner":"ada"}',X'0ECBD5EDAF9E2D9D8837A3634323D11334188766C2B8A3589E288E7AA45DE338',X'D2C3237B83BD4200D46899960425F589D09C8BA2DE1DEA9B066C8D323CDAB50B');
INSERT INTO "history" VALUES(9,'01a3185c-5000-77df-8fcf-0f72b5d59dd5','interaction_asked','01a3185c-5000-7955-b9c7-454bc166a083','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"How?","timeout":null,"error":null,"options":[{"id":"mail","label":"E-mail","value":"mail","description":"default"},{"id":"call","label":"Call","value":"call","description":"default"}],"input_type":"radio"}}',X'1B06EE8B790244DEE058959CC31908AD7A7433EE3E5B9BC19A11929C3BE666BD',X'270CD5AA0DFF9E882DAAB273FEE1CF0F6EF25CB7D662D8FA72F2A396E2896BD8');
INSERT INTO "history" VALUES(10,'01a3185c-5000-7a67-829f-708acfb0ddbb','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"asks checkbox","owner":"ada"}',X'C1F4F741FF01C5AC17D06D7280E47C78EEB0B6355646C2521C851D1D6A3EB328',X'0382370E7BEDB4F7A2134B280083D1E5955D099078D69C05A1CA992BC602E6C3');
INSERT INTO "history" VALUES(11,'01a3185c-5000-7a67-829f-708acfb0ddbb','interaction_asked','01a3185c-5000-7184-b2cd-f6e1442f93c9','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"How?","timeout":null,"error":null,"options":[{"id":"mail","label":"E-mail","value":"mail","description":"default"},{"id":"call","label":"Call","value":"call","description":"default"}],"input_type":"checkbox"}}',X'BC3F1CB255202DF93FC26E572CCF9A880456A5EE1F600428F4592B3D1A9B18D8',X'93A144D1D496D78637EE5E6D127EFE256DD9BF395D862BC4B3AD9FF15F0C4295');
INSERT INTO "history" VALUES(12,'01a3185c-5000-72de-a43d-dcd9928ff20f','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"asks dropdown","owner":"ada"}',X'064B9D1D7A93D13429733A0F15458E218DB81FDE8E5D833CAE848343275B137C',X'C8F81D3BD9343773CC0C3FBC3E002499F3F56AB42124DA10870ABF4D6AF7B425');
INSERT INTO "history" VALUES(13,'01a3185c-5000-72de-a43d-dcd9928ff20f','interaction_asked','01a3185c-5000-7d1d-a7a6-fd542e2e62f6','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"How?","timeout":null,"error":null,"options":[{"id":"mail","label":"E-mail","value":"mail","description":"default"},{"id":"call","label":"Call","value":"call","description":"default"}],"input_type":"dropdown"}}',X'90D6E07365CF6693622F1070C4801EF320C883CA9B22D30D4621BDAC9E0784F9',X'BC7E8AF8B0E003AC5A99E5D6A3CFA0D2E83C2EE3E6589A363DB2DFAE2EFB1D38');
INSERT INTO "history" VALUES(14,'01a3185c-5000-79cd-abca-1373cc8b9b8f','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"asks several","owner":"ada"}',X'B2E94E22E22893AC3F80125EA659536BCC8E8AD85B509E406F8F737512194D0D',X'48010BE320B0231F71392331D3139F1D8EABD7DE0B835E9351AFCD992C0F3F9A');
INSERT INTO "history" VALUES(15,'01a3185c-5000-79cd-abca-1373cc8b9b8f','interaction_asked','first','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"What is your name?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}}',X'B2A2084F980F08BD1DCCB18407339FF01B0CD240083208BF0947449B9408EA30',X'F36573E6709458E4A422F068BC55298B39F3B3F1A44C1B943099DF72D407970C');
INSERT INTO "history" VALUES(16,'01a3185c-5000-79cd-abca-1373cc8b9b8f','interaction_asked','second','interaction_required','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"Go on?","timeout":null,"error":null,"input_type":"binary_choice","options":[{"id":"yes","label":"Yes","value":true},{"id":"no","label":"No","value":false}]}}',X'395DA07F90CAE6D0BFEEFB7E987EC9B068E12296FE04FCF8FAE3D732CD74F36A',X'A50B86EDE37506AC0526F7BB20F95DFF77B383045A3F4DD406039F56A96C8677');
INSERT INTO "history" VALUES(17,'01a3185c-5000-79cd-abca-1373cc8b9b8f','consent_asked','01a3185c-5000-7a60-b763-b12ca54fd794','interaction_required','interaction_required',NULL,NULL,1800000000000,NULL,NULL,X'852202E06E51C8B70D3982ACB27F742A69E67362DA2DBDD04F17C235D32215C2');
INSERT INTO "history" VALUES(18,'01a3185c-5000-79cd-abca-1373cc8b9b8f','interaction_answered','first','interaction_required','interaction_required','grace',NULL,1800000000000,'{"response":{"type":"text","text":"Ada"}}',X'D9C0036DED1D58CC269160D399D37E08BD20369D2E0CC435C24C823554B8AE52',X'25ED75F431BC6EAB5DB1C63F4BCFC3ADFE90A71192D37E960AB9C73A4632AF12');
INSERT INTO "history" VALUES(19,'01a3185c-5000-7333-8bac-3ff991a32658','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"consents","owner":"ada"}',X'5E344D88E4C16D07E52220D429155F4B975BE51BE4E190C0BFF16857769DCEE4',X'4BB9F6A183BAAC05B82B6FD2BA0EE3DE22CECF2A6A79418DA66E61455C2FF46B');
INSERT INTO "history" VALUES(20,'01a3185c-5000-7333-8bac-3ff991a32658','consent_asked','01a3185c-5000-7f72-81eb-648557ec014e','running','oauth_required',NULL,NULL,1800000000000,NULL,NULL,X'D1B9BCA6B0FD9ED41E6756CC8EB13DB17C5FEBC62E90D91B5B03B47FE18FAF34');
INSERT INTO "history" VALUES(21,'01a3185c-5000-7d0b-aafb-c98b8269cb67','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"completed","owner":"ada"}',X'621AA87ED460C0E333DB418353863ED7613B0BB97EB3B9D7421C5CABC0E110A4',X'6719C8D0BFD0253C0B25088880D1A8EFE5EB45D36CA64BDD6A96D5B3446F295D');
INSERT INTO "history" VALUES(22,'01a3185c-5000-7d0b-aafb-c98b8269cb67','execution_completed',NULL,'running','completed',NULL,NULL,1800000000000,NULL,X'A41F7FAF3D298A56DD8960EDDAA3EC31FF033750D7FD8147CFFAC12AC44C035F',X'FB496D8F80618C316447803EE0A621681D49501E05AE3858D6C9A64D461FB25B');
INSERT INTO "history" VALUES(23,'01a3185c-5000-74ed-b1c6-1a920cb39851','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"held","owner":"ada"}',X'5EE31D19A260912F3D1356AB82EE55ADFA60D8231B7E5FE029ADF2EBB909A76D',X'0CE62DCBDF8CCC2398917FE94E674D8960C384A97C40C63A838A8BD68F72D278');
INSERT INTO "history" VALUES(24,'01a3185c-5000-74ed-b1c6-1a920cb39851','execution_completed',NULL,'running','completed',NULL,NULL,1800000000000,NULL,X'FCD86AC6B458C22662F923D21C3E8AE570DEE43713FDAEDC2A1E3BA47F95992B',X'2F41DED3492F518E0A688018D7B36325C0174D327970FFCF5207EEF3256DE9FE');
INSERT INTO "history" VALUES(25,'01a3185c-5000-74ed-b1c6-1a920cb39851','execution_held',NULL,'completed','completed','otto','an audit',1800000000000,NULL,NULL,X'058145244DC9896EAC65CA3CEF8A6592FE39AD9A91253789D7867500993E2A64');
INSERT INTO "history" VALUES(26,'01a3185c-5000-72dc-aa5c-7c1ed1c58e7e','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"failed","owner":"ada"}',X'721FEA088894166B82BCA4116D5A003892F6137D57ACCB49A5BDC19B458AB095',X'F32883071D55BB99ECB7E858C970EB611196843B6F0879B73AA4FC7DA217ED2D');
INSERT INTO "history" VALUES(27,'01a3185c-5000-72dc-aa5c-7c1ed1c58e7e','execution_failed',NULL,'running','failed',NULL,NULL,1800000000000,'{"error":"It failed.","code":"planned"}',X'8E98F618CB5674EC65A73EE16E02BD1B3E560594CA6543CC2B8477FB4BE2DB99',X'BF3A4C2D9E8CE74AE79AD815861AC5E744A1FA38FCBA1CFEFC58F960FFFFC040');
INSERT INTO "history" VALUES(28,'01a3185c-5000-778a-88dd-a88f13d0104a','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"cancelled","owner":"ada"}',X'3540840F0B8001DE8FE4E27B702608EF39AEEDE55FCB3EF99D47A155FC434718',X'5577F686EAB49BC840BEA3731A07B16968959671D5D2DFB16B3B23DC407A11CB');
INSERT INTO "history" VALUES(29,'01a3185c-5000-778a-88dd-a88f13d0104a','interaction_asked','01a3185c-5000-785c-9567-6c57823b7c18','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"What is your name?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}}',X'B2A2084F980F08BD1DCCB18407339FF01B0CD240083208BF0947449B9408EA30',X'B997025744149408612B6B3B9832A43A7BF232A9722BA171FFBFD1D65B700C2F');
INSERT INTO "history" VALUES(30,'01a3185c-5000-778a-88dd-a88f13d0104a','execution_cancelled',NULL,'interaction_required','cancelled','ada','enough',1800000000000,NULL,NULL,X'4AB29AC11EEECFD83F36C9DBABC97800187C7534DF19E4D97B36985B27008B1B');
INSERT INTO "history" VALUES(31,'01a3185c-5000-778a-88dd-a88f13d0104a','interaction_withdrawn','01a3185c-5000-785c-9567-6c57823b7c18','cancelled','cancelled','ada','execution cancelled',1800000000000,NULL,NULL,X'856C47005EA8E8763B24B1C7A3486EFD3634C243BAE006C9F4137A08150F9B75');
INSERT INTO "history" VALUES(32,'01a3185c-5000-7fc6-8303-63f5c9890312','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"removed","owner":"ada"}',X'C7BFF33DFC0EBAE8027EAAB6431E505A3A1A947A88924E8FBCF13B466E1B2F08',X'E9AC511B9873A6D373C19417756899547BD9BF70771E8DE522782FF6AEC3456D');
INSERT INTO "history" VALUES(33,'01a3185c-5000-7fc6-8303-63f5c9890312','execution_completed',NULL,'running','completed',NULL,NULL,1800000000000,NULL,X'74234E98AFE7498FB5DAF1F36AC2D78ACC339464F950703B8C019892F982B90B',X'5E72AAC43958E317F2AC47BF6784C3284D172CBB2F2410D7698110D117F93BEC');
INSERT INTO "history" VALUES(34,'01a3185c-5000-7fc6-8303-63f5c9890312','execution_removed',NULL,'completed',NULL,NULL,NULL,1800000000000,NULL,NULL,X'E6186E96D7E18E9ECACEC0422B91FA7A4860E5027A3754A2CCB25626C7B1B0DD');
INSERT INTO "history" VALUES(35,'01a3185c-5000-7a9f-9d06-525c9221ac16','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"paused.refund","owner":"bob"}',X'3E0A647811ECDA1195E43708FB959766D802AAC9CAF32228240D7F3F94ABF1A6',X'207D3A3DB1F8513308101F098BC62003654E97F29B7A71BAC2BEE5B7AC624604');
INSERT INTO "history" VALUES(36,'01a3185c-5000-7b77-9807-f8767315ebbc','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"paused.parallel","owner":"bob"}',X'15C6885A988EFE98A310031367D9D5A3D52CE7B77710C9A6C1320AA181BCCF8F',X'7F894DDEC02D27DE2596D7C5BA669C0140A67A776841271023C2D38BB561D3F2');
INSERT INTO "history" VALUES(37,'01a3185c-5000-7b77-9807-f8767315ebbc','interaction_asked','01a3185c-5000-7e4c-ba87-bbdfa9e3f173','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"Left?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true},"position":"1"}',X'6A4BAB402820F861B17C3D327688ACC93729C9C7C68F74AC276FFD3AAA5ECF02',X'CB42B0B884E8B94E616B9DF8776C54ACEC4FD9BE113086137EC2BB3D092441D2');
INSERT INTO "history" VALUES(38,'01a3185c-5000-7b77-9807-f8767315ebbc','interaction_asked','01a3185c-5000-7bc6-90d0-a3f82b0873f7','interaction_required','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"Right?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true},"position":"2"}',X'942642E8F696F94D9B455CD009B17A638CF52ABB6EC91E23BAE1BD647F27105F',X'8A9F0A5D9D2FA89B0642705C50A83D917F0DD54B3B24030C01CB7325E75E7D71');
INSERT INTO "history" VALUES(39,'01a3185c-5000-75e6-98b0-39e605fe18bb','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"paused.asleep","owner":"bob"}',X'75A0ABB8EB496D040890B74002208499AD8F36AD1C1FA888F72740A2D422B7ED',X'BC8FF96AA62B70176EBABB0418D8F6FC5163D75F8FD7FD3E2AA41E8D1682F6BA');
INSERT INTO "history" VALUES(40,'01a3185c-5000-7a9f-9d06-525c9221ac16','interaction_asked','01a3185c-5000-7d42-9762-2acdaa676a23','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"Refund it?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true},"position":"2"}',X'EBB5F34B923B39773074CC1E8966AD951D5F65006132BEF32BC12D33A8DE7B4A',X'6F0A23D90E616D28F1EFECE3732CE0A4CE16A985CFD6A97ADEFAA015367CD584');
INSERT INTO "history" VALUES(41,'01a3185c-5000-7a9f-9d06-525c9221ac16','interaction_answered','01a3185c-5000-7d42-9762-2acdaa676a23','interaction_required','running',NULL,NULL,1800000000000,'{"response":{"type":"text","text":"Yes"}}',X'81BB75A9163C9087E6BAA956B06414EBD4EB2C4ECB044A9CF2DFD94A04C683CC',X'855D191AFD00F808270EBD5E4528B6B948A17391ECA0C8645CAC55C0B142D52B');
INSERT INTO "history" VALUES(42,'01a3185c-5000-7a9f-9d06-525c9221ac16','emitted',NULL,'running','running',NULL,NULL,1800000000000,'{"position":"3"}',X'8E966E08AF0AD169199A6805424E8A25F7977756101CDA707EEC502C5AF1879A',X'CF11B4A74134B7351DEC182ECC89A932E79DA8009A9D5F72C43C12B6B96F2B3C');
INSERT INTO "history" VALUES(43,'01a3185c-5000-7a9f-9d06-525c9221ac16','notified',NULL,'running','running',NULL,NULL,1800000000000,'{"position":"4"}',X'A02A51D324EA523DFB1B227D5E524BF638BBB1925F0F372479388839BE4C4518',X'D3F17BE9284F25ED81544BCEEC272DE884CDD7D2B4D36B75DB78F5A051449D71');
INSERT INTO "history" VALUES(44,'01a3185c-5000-7a9f-9d06-525c9221ac16','interaction_asked','01a3185c-5000-7dd2-96ee-2c8d556f56fa','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"Why?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true},"assignees":["ada","group:finance"],"four_eyes":true,"position":"5"}',X'7E7FD0D1D1EBF5E5356217776A9FE21C26AA685FEEC0FA56099AF9B8502FCDAB',X'A460C224FF3F46EBD5493F0BDCEB82BBEEAC31B5BE2BDFD8E3672C1BD36AD4D1');
INSERT INTO "history" VALUES(45,'01a3185c-5000-7b77-9807-f8767315ebbc','interaction_answered','01a3185c-5000-7e4c-ba87-bbdfa9e3f173','interaction_required','interaction_required',NULL,NULL,1800000000000,'{"response":{"type":"text","text":"L"}}',X'8F4A8C8A905145A1AB51E1CFEA8B71FB86497C134A2E1543917480233CAA0B4F',X'647E84BF7FBB5B7366964723CA94F6601662BCAF849332A909BF931280DC27FA');
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
INSERT INTO "interactions" VALUES(1,2,'01a3185c-5000-78e3-a2ed-520a8bf4c7d7','pending',3,'{"text":"What is your name?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(2,3,'01a3185c-5000-731c-b2b2-3bbfd848d59b','pending',5,'{"text":"The report is ready.","timeout":null,"error":null,"input_type":"notification"}',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(3,4,'01a3185c-5000-73f5-978f-538cba766c23','pending',7,'{"text":"Go on?","timeout":null,"error":null,"input_type":"binary_choice","options":[{"id":"yes","label":"Yes","value":true},{"id":"no","label":"No","value":false}]}',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(4,5,'01a3185c-5000-7955-b9c7-454bc166a083','pending',9,'{"text":"How?","timeout":null,"error":null,"options":[{"id":"mail","label":"E-mail","value":"mail","description":"default"},{"id":"call","label":"Call","value":"call","description":"default"}],"input_type":"radio"}',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(5,6,'01a3185c-5000-7184-b2cd-f6e1442f93c9','pending',11,'{"text":"How?","timeout":null,"error":null,"options":[{"id":"mail","label":"E-mail","value":"mail","description":"default"},{"id":"call","label":"Call","value":"call","description":"default"}],"input_type":"checkbox"}',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(6,7,'01a3185c-5000-7d1d-a7a6-fd542e2e62f6','pending',13,'{"text":"How?","timeout":null,"error":null,"options":[{"id":"mail","label":"E-mail","value":"mail","description":"default"},{"id":"call","label":"Call","value":"call","description":"default"}],"input_type":"dropdown"}',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(7,8,'first','answered',15,'{"text":"What is your name?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}',1800000000000,NULL,1800000000000,'{"type":"text","text":"Ada"}','grace',NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(8,8,'second','pending',16,'{"text":"Go on?","timeout":null,"error":null,"input_type":"binary_choice","options":[{"id":"yes","label":"Yes","value":true},{"id":"no","label":"No","value":false}]}',1800000000000,1807776000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(9,13,'01a3185c-5000-785c-9567-6c57823b7c18','withdrawn',29,'{"text":"What is your name?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}',1800000000000,NULL,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(10,15,'01a3185c-5000-7e4c-ba87-bbdfa9e3f173','answered',37,'{"text":"Left?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}',1800000000000,1807776000000,1800000000000,'{"type":"text","text":"L"}',NULL,NULL,NULL,'fail',NULL);
INSERT INTO "interactions" VALUES(11,15,'01a3185c-5000-7bc6-90d0-a3f82b0873f7','pending',38,'{"text":"Right?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(12,14,'01a3185c-5000-7d42-9762-2acdaa676a23','answered',40,'{"text":"Refund it?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}',1800000000000,NULL,1800000000000,'{"type":"text","text":"Yes"}',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(13,14,'01a3185c-5000-7dd2-96ee-2c8d556f56fa','pending',44,'{"text":"Why?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}',1800000000000,NULL,NULL,NULL,NULL,'["ada","group:finance"]',1,NULL,NULL);
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
INSERT INTO "journal" VALUES(14,'2','ask','text','bc47e1cc074fbaa6','"01a3185c-5000-7d42-9762-2acdaa676a23"',1800000000000,NULL,NULL,2,1);
INSERT INTO "journal" VALUES(14,'3','emit','data','811e41e444d0645d','{"price":8}',1800000000000,NULL,41,3,2);
INSERT INTO "journal" VALUES(14,'4','notify','notification','7c202b7df096b645','{"text":"Half of it is done.","timeout":null,"error":null,"input_type":"notification"}',1800000000000,NULL,42,4,3);
INSERT INTO "journal" VALUES(14,'5','ask','text','dc55d7455cfcb19f','"01a3185c-5000-7dd2-96ee-2c8d556f56fa"',1800000000000,NULL,NULL,NULL,4);
INSERT INTO "journal" VALUES(15,'1','ask','text','46166b3303042d80','"01a3185c-5000-7e4c-ba87-bbdfa9e3f173"',1800000000000,NULL,NULL,NULL,0);
INSERT INTO "journal" VALUES(15,'2','ask','text','82e36f12e8efca86','"01a3185c-5000-7bc6-90d0-a3f82b0873f7"',1800000000000,NULL,NULL,NULL,0);
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
CREATE INDEX executions_to_sweep ON executions (expires_at) WHERE expires_at IS NOT NULL AND hold IS NULL;
CREATE INDEX history_of_execution ON history (execution_id) WHERE execution_id IS NOT NULL;
CREATE INDEX consents_open ON consents (deadline_at) WHERE status IN ('pending', 'exchanging');
CREATE INDEX interactions_open ON interactions (deadline_at) WHERE status = 'pending';
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
CREATE TRIGGER interactions_move_as_the_lifecycle_allows BEFORE UPDATE ON interactions WHEN NEW.key IS NOT OLD.key OR NEW.id IS NOT OLD.id OR NEW.execution_key IS NOT OLD.execution_key OR NEW.opened IS NOT OLD.opened OR NEW.created_at IS NOT OLD.created_at OR NEW.assignees IS NOT OLD.assignees OR NEW.four_eyes IS NOT OLD.four_eyes OR NEW.on_deadline IS NOT OLD.on_deadline OR (OLD.status <> NEW.status AND NOT (OLD.status = 'pending' AND (NEW.status = 'answered' OR NEW.status = 'expired' OR NEW.status = 'withdrawn'))) OR ((OLD.status = 'answered' OR OLD.status = 'expired' OR OLD.status = 'withdrawn') AND (NEW.status IS NOT OLD.status OR NEW.answered_by IS NOT OLD.answered_by OR NEW.closed_at IS NOT OLD.closed_at)) OR (NEW.status = 'answered' AND OLD.four_eyes = 1 AND NEW.answered_by = (SELECT owner FROM executions WHERE key = OLD.execution_key)) OR ((NEW.prompt IS NOT OLD.prompt OR NEW.default_response IS NOT OLD.default_response OR (OLD.status <> 'pending' AND NEW.response IS NOT OLD.response)) AND (OLD.status = 'pending' OR NOT EXISTS (SELECT 1 FROM history JOIN erasures USING (sequence) WHERE wait_id = OLD.id AND execution_id = (SELECT id FROM executions WHERE key = OLD.execution_key)))) BEGIN SELECT RAISE(ABORT, 'illegal transition of an interaction, or a change of what stays'); END;
CREATE VIEW answers AS SELECT a.execution_id, a.wait_id AS interaction_id, a.actor AS answered_by, strftime('%Y-%m-%dT%H:%M:%fZ', a.time / 1000.0, 'unixepoch') AS answered_at, a.time AS answered_ms, strftime('%Y-%m-%dT%H:%M:%fZ', q.time / 1000.0, 'unixepoch') AS asked_at, a.time - q.time AS waited_ms, json_extract(q.detail, '$.prompt') AS prompt, json_extract(a.detail, '$.response') AS response, a.sequence, strftime('%Y-%m-%dT%H:%M:%fZ', a.time / 1000.0, 'unixepoch') AS at, a.time AS at_ms, json_extract(c.detail, '$.workflow') AS workflow, json_extract(c.detail, '$.owner') AS owner, json_extract(q.detail, '$.prompt.text') AS question, json_extract(q.detail, '$.position') AS position, coalesce(json_extract(a.detail, '$.response.selected_option.label'), (SELECT group_concat(json_extract(value, '$.label'), ', ') FROM json_each(a.detail, '$.response.selected_options')), json_extract(a.detail, '$.response.text')) AS decision, CASE WHEN json_type(a.detail, '$.response.selected_option.value') = 'true' THEN 1 WHEN json_type(a.detail, '$.response.selected_option.value') = 'false' THEN 0 WHEN lower(json_extract(a.detail, '$.response.selected_option.id')) IN ('yes', 'y', 'true', 'ok', 'approve', 'approved', 'accept', 'allow', 'confirm', 'continue', 'grant') OR lower(json_extract(a.detail, '$.response.selected_option.value')) IN ('yes', 'y', 'true', 'ok', 'approve', 'approved', 'accept', 'allow', 'confirm', 'continue', 'grant') THEN 1 WHEN lower(json_extract(a.detail, '$.response.selected_option.id')) IN ('no', 'n', 'false', 'cancel', 'reject', 'rejected', 'decline', 'deny', 'denied', 'refuse', 'stop') OR lower(json_extract(a.detail, '$.response.selected_option.value')) IN ('no', 'n', 'false', 'cancel', 'reject', 'rejected', 'decline', 'deny', 'denied', 'refuse', 'stop') THEN 0 END AS approved, coalesce(a.cause = 'deadline', 0) AS by_default, json_extract(q.detail, '$.assignees') AS assignees, coalesce(json_extract(q.detail, '$.four_eyes'), 0) AS four_eyes, json_extract(a.detail, '$.authority') AS authority, json_extract(a.detail, '$.groups') AS actor_groups, json_extract(a.detail, '$.roles') AS actor_roles FROM history AS a LEFT JOIN history AS q ON q.execution_id = a.execution_id AND q.wait_id = a.wait_id AND q.event = 'interaction_asked' LEFT JOIN history AS c ON c.execution_id = a.execution_id AND c.event = 'execution_created' WHERE a.event = 'interaction_answered';
CREATE VIEW audit_contract AS SELECT 1 AS version;
CREATE VIEW approvals AS SELECT sequence, at, at_ms, execution_id, workflow, owner, question, decision, approved, answered_by AS approved_by, authority, by_default, interaction_id FROM answers WHERE coalesce(json_extract(response, '$.type'), '') NOT IN ('text', 'notification');
CREATE VIEW execution_timeline AS SELECT h.sequence, strftime('%Y-%m-%dT%H:%M:%fZ', h.time / 1000.0, 'unixepoch') AS at, h.time AS at_ms, h.execution_id, h.time - c.time AS after_ms, h.event, h.to_status AS status, h.actor, h.cause, coalesce(json_extract(h.detail, '$.prompt.text'), json_extract(h.detail, '$.error'), json_extract(h.detail, '$.problem'), coalesce(json_extract(h.detail, '$.response.selected_option.label'), (SELECT group_concat(json_extract(value, '$.label'), ', ') FROM json_each(h.detail, '$.response.selected_options')), json_extract(h.detail, '$.response.text')), h.cause) AS about, h.wait_id, h.detail FROM history AS h LEFT JOIN history AS c ON c.execution_id = h.execution_id AND c.event = 'execution_created' WHERE h.execution_id IS NOT NULL UNION ALL SELECT s.sequence, strftime('%Y-%m-%dT%H:%M:%fZ', s.time / 1000.0, 'unixepoch') AS at, s.time AS at_ms, gone.value, s.time - c.time, 'swept', NULL, s.actor, s.cause, s.cause, NULL, NULL FROM history AS s JOIN json_each(s.detail, '$.execution_ids') AS gone LEFT JOIN history AS c ON c.execution_id = gone.value AND c.event = 'execution_created' WHERE s.execution_id IS NULL AND s.event = 'swept';
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
CREATE INDEX executions_ready ON executions ("key") WHERE ready = 1 AND lease IS NULL;
CREATE INDEX executions_with_a_problem ON executions ("key") WHERE problem IS NOT NULL;
CREATE TRIGGER executions_move_as_the_lifecycle_allows BEFORE UPDATE ON executions WHEN NEW.key IS NOT OLD.key OR NEW.id IS NOT OLD.id OR NEW.created_at IS NOT OLD.created_at OR (OLD.status <> NEW.status AND NOT (OLD.status = 'running' AND (NEW.status = 'interaction_required' OR NEW.status = 'oauth_required' OR NEW.status = 'completed' OR NEW.status = 'failed' OR NEW.status = 'cancelled') OR OLD.status = 'interaction_required' AND (NEW.status = 'oauth_required' OR NEW.status = 'running' OR NEW.status = 'failed' OR NEW.status = 'cancelled') OR OLD.status = 'oauth_required' AND (NEW.status = 'interaction_required' OR NEW.status = 'running' OR NEW.status = 'failed' OR NEW.status = 'cancelled') OR OLD.status = 'failed' AND (NEW.status = 'running'))) OR ((OLD.status = 'completed' OR OLD.status = 'failed' OR OLD.status = 'cancelled') AND NEW.status = OLD.status AND (NEW.completed_at IS NOT OLD.completed_at OR NEW.result IS NOT OLD.result OR NEW.error IS NOT OLD.error OR NEW.error_code IS NOT OLD.error_code)) BEGIN SELECT RAISE(ABORT, 'illegal transition of an execution, or a change of what stays'); END;
CREATE VIEW recoveries AS SELECT h.sequence, strftime('%Y-%m-%dT%H:%M:%fZ', h.time / 1000.0, 'unixepoch') AS at, h.time AS at_ms, h.execution_id, json_extract(c.detail, '$.workflow') AS workflow, json_extract(c.detail, '$.owner') AS owner, h.event, h.to_status AS status, h.cause, json_extract(h.detail, '$.attempt') AS attempt, json_extract(h.detail, '$.code') AS error_code FROM history AS h LEFT JOIN history AS c ON c.execution_id = h.execution_id AND c.event = 'execution_created' WHERE h.event = 'execution_recovered' OR (h.event = 'execution_failed' AND h.cause IN ('recover', 'attempts exhausted')) OR h.event IN ('execution_retried');
CREATE VIEW sweeps AS SELECT g.sequence, strftime('%Y-%m-%dT%H:%M:%fZ', g.time / 1000.0, 'unixepoch') AS at, g.time AS at_ms, g.execution_id, json_extract(c.detail, '$.workflow') AS workflow, json_extract(c.detail, '$.owner') AS owner, g.how, g.actor, e.to_status AS status, strftime('%Y-%m-%dT%H:%M:%fZ', e.time / 1000.0, 'unixepoch') AS ended_at FROM (SELECT s.sequence, s.time, gone.value AS execution_id, 'swept' AS how, s.actor FROM history AS s JOIN json_each(s.detail, '$.execution_ids') AS gone WHERE s.execution_id IS NULL AND s.event = 'swept' UNION ALL SELECT sequence, time, execution_id, 'removed', actor FROM history WHERE event = 'execution_removed') AS g LEFT JOIN history AS c ON c.execution_id = g.execution_id AND c.event = 'execution_created' LEFT JOIN history AS e ON e.execution_id = g.execution_id AND e.sequence = (SELECT max(l.sequence) FROM history AS l WHERE l.execution_id = g.execution_id AND l.event IN ('execution_completed', 'execution_failed', 'execution_cancelled'));
CREATE INDEX executions_by_owner ON executions (owner) WHERE owner IS NOT NULL;
CREATE INDEX executions_by_status ON executions (status);
CREATE INDEX executions_by_workflow ON executions (workflow) WHERE workflow IS NOT NULL;
CREATE INDEX kept_keys_expire ON kept_keys (expires_at);
CREATE INDEX interactions_open_of_execution ON interactions (execution_key, opened, assignees) WHERE status = 'pending';
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('leases',1);
