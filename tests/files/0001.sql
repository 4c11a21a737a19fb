CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
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
    closed_at INTEGER,
    PRIMARY KEY ("key"),
    CONSTRAINT consents_id_is_unique_in_its_execution UNIQUE (execution_key, id),
    CONSTRAINT consents_status_is_known CHECK ((status = 'pending' OR status = 'exchanging' OR status = 'granted' OR status = 'denied' OR status = 'expired' OR status = 'withdrawn')),
    CONSTRAINT consents_closed_at_means_closed CHECK ((status = 'pending' OR status = 'exchanging') = (closed_at IS NULL)),
    FOREIGN KEY(execution_key) REFERENCES executions ("key") ON DELETE CASCADE
);
INSERT INTO "consents" VALUES(1,8,'01a3185c-5000-76b9-b2ab-92ce72e5ed5f','pending',17,'https://provider.example/authorize','state 1',1800000000000,NULL,NULL);
INSERT INTO "consents" VALUES(2,9,'01a3185c-5000-76cf-9aab-9e31625cba16','pending',20,'https://provider.example/authorize','state 2',1800000000000,NULL,NULL);
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
    error_code TEXT,
    PRIMARY KEY ("key"),
    CONSTRAINT executions_id_is_unique UNIQUE (id),
    CONSTRAINT executions_status_is_known CHECK ((status = 'running' OR status = 'interaction_required' OR status = 'oauth_required' OR status = 'completed' OR status = 'failed' OR status = 'cancelled')),
    CONSTRAINT executions_completed_at_means_ended CHECK ((completed_at IS NOT NULL) = (status = 'completed' OR status = 'failed' OR status = 'cancelled')),
    CONSTRAINT executions_only_ended_ones_expire CHECK (expires_at IS NULL OR completed_at IS NOT NULL),
    CONSTRAINT executions_paused_means_open_waits CHECK ((open_waits > 0) = (status = 'interaction_required' OR status = 'oauth_required')),
    CONSTRAINT executions_result_is_json CHECK (result IS NULL OR json_valid(result))
);
INSERT INTO "executions" VALUES(1,'01a3185c-5000-73e9-bed1-2a3b6e7b3dc4','running',1,0,'running','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "executions" VALUES(2,'01a3185c-5000-7945-a3ec-d7bd8818e579','interaction_required',2,1,'asks text','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "executions" VALUES(3,'01a3185c-5000-7a2e-a949-5b7c56a2a434','interaction_required',2,1,'asks notification','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "executions" VALUES(4,'01a3185c-5000-7ea7-9b06-ec28b956b23a','interaction_required',2,1,'asks binary_choice','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "executions" VALUES(5,'01a3185c-5000-798b-a16b-0bb0175e4bd1','interaction_required',2,1,'asks radio','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "executions" VALUES(6,'01a3185c-5000-7bb2-a55f-bca37040ca73','interaction_required',2,1,'asks checkbox','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "executions" VALUES(7,'01a3185c-5000-72d2-82d2-3f517caeb556','interaction_required',2,1,'asks dropdown','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "executions" VALUES(8,'01a3185c-5000-7e36-b4cc-528e07fa308a','interaction_required',5,2,'asks several','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "executions" VALUES(9,'01a3185c-5000-7ebe-a7a8-7cb7307736ef','oauth_required',2,1,'consents','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "executions" VALUES(10,'01a3185c-5000-73b0-ac09-4fa4d46081a3','completed',2,0,'completed','ada',NULL,1800000000000,1800000000000,1800000600000,NULL,'{"price":[1,2.5,null,"é"]}',NULL,NULL);
INSERT INTO "executions" VALUES(11,'01a3185c-5000-748d-8181-1c4e38f55b51','completed',2,0,'held','ada',NULL,1800000000000,1800000000000,1800000600000,'an audit','"held"',NULL,NULL);
INSERT INTO "executions" VALUES(12,'01a3185c-5000-7df2-b591-7e3beed8347e','failed',2,0,'failed','ada',NULL,1800000000000,1800000000000,NULL,NULL,NULL,'It failed.','planned');
INSERT INTO "executions" VALUES(13,'01a3185c-5000-7cc6-a41a-d90cddb71054','cancelled',3,0,'cancelled','ada',NULL,1800000000000,1800000000000,1800000600000,NULL,NULL,NULL,NULL);
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
INSERT INTO "history" VALUES(1,'01a3185c-5000-73e9-bed1-2a3b6e7b3dc4','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"running","owner":"ada"}',X'29EAE50C4B0E449B87519C9BF4AC8D61082DDD9B81EA99DC3C7B4624EBD3FD50',X'AC35295E0AE2F2DEDC3CD280F77AFE7323BEC21BE6124D1846C5FDB66AE0D9D9');
INSERT INTO "history" VALUES(2,'01a3185c-5000-7945-a3ec-d7bd8818e579','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"asks text","owner":"ada"}',X'0FE8C861B445585011CA93295184F78CEB61DD212A0CF608B2B5D7CE64E7493E',X'FE9EA93BFE321D9B5299E335F5D35E5FD5DDBE40D3C6557915CEBC6AD88B228E');
INSERT INTO "history" VALUES(3,'01a3185c-5000-7945-a3ec-d7bd8818e579','interaction_asked','01a3185c-5000-7b72-b3be-b6f12d2d8152','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"What is your name?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}}',X'B2A2084F980F08BD1DCCB18407339FF01B0CD240083208BF0947449B9408EA30',X'34DAA69EF5C98957BD02ED4B7EC90EDA04C6A3862E710D5AAE71DFF22C2CE1C0');
INSERT INTO "history" VALUES(4,'01a3185c-5000-7a2e-a949-5b7c56a2a434','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"asks notification","owner":"ada"}',X'0B33ED6E5C98A06597EC3F5220E20E8B637A6B0917EB3BB341A96BE4E7C71DEF',X'A3FBCA8CEC949E82CA1BA1AF91388BD101DAC87D2D6CB9E5892961C531901D3F');
INSERT INTO "history" VALUES(5,'01a3185c-5000-7a2e-a949-5b7c56a2a434','interaction_asked','01a3185c-5000-7592-86eb-ffadaeeb6c4b','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"The report is ready.","timeout":null,"error":null,"input_type":"notification"}}',X'5511A5E12E64889D122C8EEAC74EDEE5218053B28A27B5BD7EEEA876079EF9FD',X'D46F560474D2D8A6D7617259A3A7B711DFCE619F2FDC31F9897D444788BBAC6C');
INSERT INTO "history" VALUES(6,'01a3185c-5000-7ea7-9b06-ec28b956b23a','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"asks binary_choice","owner":"ada"}',X'90C02E3B32BCC1D07CE2005F65A9F5242E74618890ADF8E03152F61639EE903D',X'E0BBA668C45BE42E5A44D83E736EE37F61F309A566CEE502A747FB92F3A28D67');
INSERT INTO "history" VALUES(7,'01a3185c-5000-7ea7-9b06-ec28b956b23a','interaction_asked','01a3185c-5000-7bb6-841e-b20e84fd0136','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"Go on?","timeout":null,"error":null,"input_type":"binary_choice","options":[{"id":"yes","label":"Yes","value":true},{"id":"no","label":"No","value":false}]}}',X'395DA07F90CAE6D0BFEEFB7E987EC9B068E12296FE04FCF8FAE3D732CD74F36A',X'BCC3BB5B462CB08DF882CB93AF2094D1CC5FEDF309A6C0CE3BF8F264AE9D868C');
INSERT INTO "history" VALUES(8,'01a3185c-5000-798b-a16b-0bb0175e4bd1','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"asks radio","owner":"ada"}',X'0ECBD5EDAF9E2D9D8837A3634323D11334188766C2B8A3589E288E7AA45DE338',X'6A64EAD9AC0EE9F8C2A184BFCFBD6A762BE49DAF0A123B429392D892C833CE1D');
INSERT INTO "history" VALUES(9,'01a3185c-5000-798b-a16b-0bb0175e4bd1','interaction_asked','01a3185c-5000-790d-bd3e-e73aee880d0f','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"How?","timeout":null,"error":null,"options":[{"id":"mail","label":"E-mail","value":"mail","description":"default"},{"id":"call","label":"Call","value":"call","description":"default"}],"input_type":"radio"}}',X'1B06EE8B790244DEE058959CC31908AD7A7433EE3E5B9BC19A11929C3BE666BD',X'4885B0B32968F62BC9EE3FF0AD6A38F8FDB03A776EDFC3CEB3DF7158480D2E1B');
INSERT INTO "history" VALUES(10,'01a3185c-5000-7bb2-a55f-bca37040ca73','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"asks checkbox","owner":"ada"}',X'C1F4F741FF01C5AC17D06D7280E47C78EEB0B6355646C2521C851D1D6A3EB328',X'C8CF697082865F7149FC54AD274EC714E09B5B16D2CD473F1845BAEDE41EF0AD');
INSERT INTO "history" VALUES(11,'01a3185c-5000-7bb2-a55f-bca37040ca73','interaction_asked','01a3185c-5000-70c3-8a6b-75b2440824b5','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"How?","timeout":null,"error":null,"options":[{"id":"mail","label":"E-mail","value":"mail","description":"default"},{"id":"call","label":"Call","value":"call","description":"default"}],"input_type":"checkbox"}}',X'BC3F1CB255202DF93FC26E572CCF9A880456A5EE1F600428F4592B3D1A9B18D8',X'ED4DA81BE179B7CC47808A18D3934929E8D1D06E4A6C32C0A0FC718794BE6947');
INSERT INTO "history" VALUES(12,'01a3185c-5000-72d2-82d2-3f517caeb556','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"asks dropdown","owner":"ada"}',X'064B9D1D7A93D13429733A0F15458E218DB81FDE8E5D833CAE848343275B137C',X'7D4252491A8252C46DD46D8ED40F454767D6374A2B0C0BE4D8548B8B7B053CB6');
INSERT INTO "history" VALUES(13,'01a3185c-5000-72d2-82d2-3f517caeb556','interaction_asked','01a3185c-5000-7c12-95ee-1b1690731b7c','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"How?","timeout":null,"error":null,"options":[{"id":"mail","label":"E-mail","value":"mail","description":"default"},{"id":"call","label":"Call","value":"call","description":"default"}],"input_type":"dropdown"}}',X'90D6E07365CF6693622F1070C4801EF320C883CA9B22D30D4621BDAC9E0784F9',X'123C4C0A7F8D7506ECAADCF5DA64B0145951E7FA856AB1C9CF5D7E8D2C9BFE70');
INSERT INTO "history" VALUES(14,'01a3185c-5000-7e36-b4cc-528e07fa308a','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"asks several","owner":"ada"}',X'B2E94E22E22893AC3F80125EA659536BCC8E8AD85B509E406F8F737512194D0D',X'E36463AF9B51C4189FD19E4DC0D4C1DC9E572EAC3CD82B69716FF31863980277');
INSERT INTO "history" VALUES(15,'01a3185c-5000-7e36-b4cc-528e07fa308a','interaction_asked','first','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"What is your name?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}}',X'B2A2084F980F08BD1DCCB18407339FF01B0CD240083208BF0947449B9408EA30',X'5E61D8019D20043D8BC03077DA56CA01A8BDCCE8ECEEB0273D40F0F6AD39560C');
INSERT INTO "history" VALUES(16,'01a3185c-5000-7e36-b4cc-528e07fa308a','interaction_asked','second','interaction_required','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"Go on?","timeout":null,"error":null,"input_type":"binary_choice","options":[{"id":"yes","label":"Yes","value":true},{"id":"no","label":"No","value":false}]}}',X'395DA07F90CAE6D0BFEEFB7E987EC9B068E12296FE04FCF8FAE3D732CD74F36A',X'33210380840ED419B29C94316BC4F9189A06594589BEEED6BA79D51102C94855');
INSERT INTO "history" VALUES(17,'01a3185c-5000-7e36-b4cc-528e07fa308a','consent_asked','01a3185c-5000-76b9-b2ab-92ce72e5ed5f','interaction_required','interaction_required',NULL,NULL,1800000000000,NULL,NULL,X'A0887FDB2D6E65024EE02C15FAC290715E802CEF78507BE24002A7214328E960');
INSERT INTO "history" VALUES(18,'01a3185c-5000-7e36-b4cc-528e07fa308a','interaction_answered','first','interaction_required','interaction_required','grace',NULL,1800000000000,'{"response":{"type":"text","text":"Ada"}}',X'D9C0036DED1D58CC269160D399D37E08BD20369D2E0CC435C24C823554B8AE52',X'229BC0421A9AF30D3A0A76E6C331A08739AD60349EEA0A412024E553EA613C4C');
INSERT INTO "history" VALUES(19,'01a3185c-5000-7ebe-a7a8-7cb7307736ef','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"consents","owner":"ada"}',X'5E344D88E4C16D07E52220D429155F4B975BE51BE4E190C0BFF16857769DCEE4',X'8E476CDA07C4AB16983010C8B8204CF86E3B84B8B54C17371EE2015AD272B9CC');
INSERT INTO "history" VALUES(20,'01a3185c-5000-7ebe-a7a8-7cb7307736ef','consent_asked','01a3185c-5000-76cf-9aab-9e31625cba16','running','oauth_required',NULL,NULL,1800000000000,NULL,NULL,X'601183D1E2D698FD3F9D535D3ECE9443B569EF4846669F89BC1348C4F4EF2EA4');
INSERT INTO "history" VALUES(21,'01a3185c-5000-73b0-ac09-4fa4d46081a3','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"completed","owner":"ada"}',X'621AA87ED460C0E333DB418353863ED7613B0BB97EB3B9D7421C5CABC0E110A4',X'809140330E1645002258BF719306B70FFD2314110B11902FEF8CBBA142130356');
INSERT INTO "history" VALUES(22,'01a3185c-5000-73b0-ac09-4fa4d46081a3','execution_completed',NULL,'running','completed',NULL,NULL,1800000000000,NULL,NULL,X'F1D4C88B5D27E2EB749E4B471DDDB0E1D0B9745EF8391899E74485033DD73ABC');
INSERT INTO "history" VALUES(23,'01a3185c-5000-748d-8181-1c4e38f55b51','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"held","owner":"ada"}',X'5EE31D19A260912F3D1356AB82EE55ADFA60D8231B7E5FE029ADF2EBB909A76D',X'38F184577F32B0B45641402216AF1A44AE09739F704134D1699338AEDFD87373');
INSERT INTO "history" VALUES(24,'01a3185c-5000-748d-8181-1c4e38f55b51','execution_completed',NULL,'running','completed',NULL,NULL,1800000000000,NULL,NULL,X'AE6A2BB3F753CE5A32576805159AC98DA21701638DA682B8FC9CD4CDE82302E8');
INSERT INTO "history" VALUES(25,'01a3185c-5000-748d-8181-1c4e38f55b51','execution_held',NULL,'completed','completed','otto','an audit',1800000000000,NULL,NULL,X'41CC934E59CFF4BA93D1DFA0E2C297BB92300AF8F9B2C85F8480F6BB62396187');
INSERT INTO "history" VALUES(26,'01a3185c-5000-7df2-b591-7e3beed8347e','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"failed","owner":"ada"}',X'721FEA088894166B82BCA4116D5A003892F6137D57ACCB49A5BDC19B458AB095',X'C3C4D9046DD65C96A380216079A7EFB1D79E90891BE596E7582A8D9B9BA5747B');
INSERT INTO "history" VALUES(27,'01a3185c-5000-7df2-b591-7e3beed8347e','execution_failed',NULL,'running','failed',NULL,NULL,1800000000000,'{"error":"It failed.","code":"planned"}',X'8E98F618CB5674EC65A73EE16E02BD1B3E560594CA6543CC2B8477FB4BE2DB99',X'C96FD6B94A297CD42C9AF708BA0BC7752F8AA126E1FC18340C94F8853E11D6EF');
INSERT INTO "history" VALUES(28,'01a3185c-5000-7cc6-a41a-d90cddb71054','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"cancelled","owner":"ada"}',X'3540840F0B8001DE8FE4E27B702608EF39AEEDE55FCB3EF99D47A155FC434718',X'BEDCA60E0DCC37EAA6B96AAB3EF75DEC43189F74A851133C9494E1DF86C3A690');
INSERT INTO "history" VALUES(29,'01a3185c-5000-7cc6-a41a-d90cddb71054','interaction_asked','01a3185c-5000-7427-ada5-7848feb82b91','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"What is your name?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}}',X'B2A2084F980F08BD1DCCB18407339FF01B0CD240083208BF0947449B9408EA30',X'FD0FB3D41B9BA01CB835407EC1CD168C7127CEC51CFF073F261DAFA81510C902');
INSERT INTO "history" VALUES(30,'01a3185c-5000-7cc6-a41a-d90cddb71054','execution_cancelled',NULL,'interaction_required','cancelled','ada','enough',1800000000000,NULL,NULL,X'17DAD10F794910C9EE50731A2AEB3253C1F77160613EA2E2DABDD5B1BF21C0BD');
INSERT INTO "history" VALUES(31,'01a3185c-5000-7cc6-a41a-d90cddb71054','interaction_withdrawn','01a3185c-5000-7427-ada5-7848feb82b91','cancelled','cancelled','ada','execution cancelled',1800000000000,NULL,NULL,X'E44AF4EC95989488DE9C38924D85C57712DED31E612A70EA91EBE1EB25B93446');
INSERT INTO "history" VALUES(32,'01a3185c-5000-7256-90ee-1a43dfacec3e','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"removed","owner":"ada"}',X'C7BFF33DFC0EBAE8027EAAB6431E505A3A1A947A88924E8FBCF13B466E1B2F08',X'D471BB2D4D5967A00547489CA8BB31F9D25F4EE0708AFFE334CC2868B13819BE');
INSERT INTO "history" VALUES(33,'01a3185c-5000-7256-90ee-1a43dfacec3e','execution_completed',NULL,'running','completed',NULL,NULL,1800000000000,NULL,NULL,X'6E0D6718BE8B62C5F1E0C511353D5678ED2934D774B322834FCCC8C3409A03B6');
INSERT INTO "history" VALUES(34,'01a3185c-5000-7256-90ee-1a43dfacec3e','execution_removed',NULL,'completed',NULL,NULL,NULL,1800000000000,NULL,NULL,X'A19AFEB248309577E6A845E70229417CE2CFA56ABEAD0DACE0C97F1FCC13A7E1');
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
    answered_by TEXT,
    PRIMARY KEY ("key"),
    CONSTRAINT interactions_id_is_unique_in_its_execution UNIQUE (execution_key, id),
    CONSTRAINT interactions_status_is_known CHECK ((status = 'pending' OR status = 'answered' OR status = 'expired' OR status = 'withdrawn')),
    CONSTRAINT interactions_answered_means_a_response CHECK ((status = 'answered') = (response IS NOT NULL)),
    CONSTRAINT interactions_closed_at_means_closed CHECK ((status = 'pending') = (closed_at IS NULL)),
    CONSTRAINT interactions_prompt_is_json CHECK (json_valid(prompt)),
    CONSTRAINT interactions_response_is_json CHECK (response IS NULL OR json_valid(response)),
    FOREIGN KEY(execution_key) REFERENCES executions ("key") ON DELETE CASCADE
);
INSERT INTO "interactions" VALUES(1,2,'01a3185c-5000-7b72-b3be-b6f12d2d8152','pending',3,'{"text":"What is your name?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}',1800000000000,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(2,3,'01a3185c-5000-7592-86eb-ffadaeeb6c4b','pending',5,'{"text":"The report is ready.","timeout":null,"error":null,"input_type":"notification"}',1800000000000,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(3,4,'01a3185c-5000-7bb6-841e-b20e84fd0136','pending',7,'{"text":"Go on?","timeout":null,"error":null,"input_type":"binary_choice","options":[{"id":"yes","label":"Yes","value":true},{"id":"no","label":"No","value":false}]}',1800000000000,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(4,5,'01a3185c-5000-790d-bd3e-e73aee880d0f','pending',9,'{"text":"How?","timeout":null,"error":null,"options":[{"id":"mail","label":"E-mail","value":"mail","description":"default"},{"id":"call","label":"Call","value":"call","description":"default"}],"input_type":"radio"}',1800000000000,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(5,6,'01a3185c-5000-70c3-8a6b-75b2440824b5','pending',11,'{"text":"How?","timeout":null,"error":null,"options":[{"id":"mail","label":"E-mail","value":"mail","description":"default"},{"id":"call","label":"Call","value":"call","description":"default"}],"input_type":"checkbox"}',1800000000000,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(6,7,'01a3185c-5000-7c12-95ee-1b1690731b7c','pending',13,'{"text":"How?","timeout":null,"error":null,"options":[{"id":"mail","label":"E-mail","value":"mail","description":"default"},{"id":"call","label":"Call","value":"call","description":"default"}],"input_type":"dropdown"}',1800000000000,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(7,8,'first','answered',15,'{"text":"What is your name?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}',1800000000000,NULL,1800000000000,'{"type":"text","text":"Ada"}','grace');
INSERT INTO "interactions" VALUES(8,8,'second','pending',16,'{"text":"Go on?","timeout":null,"error":null,"input_type":"binary_choice","options":[{"id":"yes","label":"Yes","value":true},{"id":"no","label":"No","value":false}]}',1800000000000,1807776000000,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(9,13,'01a3185c-5000-7427-ada5-7848feb82b91','withdrawn',29,'{"text":"What is your name?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}',1800000000000,NULL,1800000000000,NULL,NULL);
CREATE TABLE journal (
    execution_key INTEGER NOT NULL,
    position TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    result TEXT,
    recorded_at INTEGER NOT NULL,
    PRIMARY KEY (execution_key, position),
    CONSTRAINT journal_result_is_json CHECK (result IS NULL OR json_valid(result)),
    FOREIGN KEY(execution_key) REFERENCES executions ("key") ON DELETE CASCADE
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
CREATE INDEX executions_to_sweep ON executions (expires_at) WHERE expires_at IS NOT NULL AND hold IS NULL;
CREATE INDEX history_of_execution ON history (execution_id) WHERE execution_id IS NOT NULL;
CREATE INDEX consents_open ON consents (deadline_at) WHERE status IN ('pending', 'exchanging');
CREATE INDEX interactions_open ON interactions (deadline_at) WHERE status = 'pending';
CREATE TRIGGER executions_move_as_the_lifecycle_allows BEFORE UPDATE ON executions WHEN NEW.key IS NOT OLD.key OR NEW.id IS NOT OLD.id OR NEW.created_at IS NOT OLD.created_at OR (OLD.status <> NEW.status AND NOT (OLD.status = 'running' AND (NEW.status = 'interaction_required' OR NEW.status = 'oauth_required' OR NEW.status = 'completed' OR NEW.status = 'failed' OR NEW.status = 'cancelled') OR OLD.status = 'interaction_required' AND (NEW.status = 'oauth_required' OR NEW.status = 'running' OR NEW.status = 'failed' OR NEW.status = 'cancelled') OR OLD.status = 'oauth_required' AND (NEW.status = 'interaction_required' OR NEW.status = 'running' OR NEW.status = 'failed' OR NEW.status = 'cancelled'))) OR ((OLD.status = 'completed' OR OLD.status = 'failed' OR OLD.status = 'cancelled') AND (NEW.status IS NOT OLD.status OR NEW.completed_at IS NOT OLD.completed_at OR NEW.result IS NOT OLD.result OR NEW.error IS NOT OLD.error OR NEW.error_code IS NOT OLD.error_code)) BEGIN SELECT RAISE(ABORT, 'illegal transition of an execution, or a change of what stays'); END;
CREATE TRIGGER executions_begin_at_the_beginning BEFORE INSERT ON executions WHEN NEW.status <> 'running' OR EXISTS (SELECT 1 FROM executions WHERE key = NEW.key) OR EXISTS (SELECT 1 FROM executions WHERE id = NEW.id) BEGIN SELECT RAISE(ABORT, 'an execution begins as running, with a key and an id of its own'); END;
CREATE TRIGGER interactions_move_as_the_lifecycle_allows BEFORE UPDATE ON interactions WHEN NEW.key IS NOT OLD.key OR NEW.id IS NOT OLD.id OR NEW.execution_key IS NOT OLD.execution_key OR NEW.prompt IS NOT OLD.prompt OR NEW.opened IS NOT OLD.opened OR NEW.created_at IS NOT OLD.created_at OR (OLD.status <> NEW.status AND NOT (OLD.status = 'pending' AND (NEW.status = 'answered' OR NEW.status = 'expired' OR NEW.status = 'withdrawn'))) OR ((OLD.status = 'answered' OR OLD.status = 'expired' OR OLD.status = 'withdrawn') AND (NEW.status IS NOT OLD.status OR NEW.response IS NOT OLD.response OR NEW.answered_by IS NOT OLD.answered_by OR NEW.closed_at IS NOT OLD.closed_at)) BEGIN SELECT RAISE(ABORT, 'illegal transition of an interaction, or a change of what stays'); END;
CREATE TRIGGER interactions_begin_at_the_beginning BEFORE INSERT ON interactions WHEN NEW.status <> 'pending' OR EXISTS (SELECT 1 FROM interactions WHERE key = NEW.key) OR EXISTS (SELECT 1 FROM interactions WHERE execution_key = NEW.execution_key AND id = NEW.id) BEGIN SELECT RAISE(ABORT, 'an interaction begins as pending, with a key and an id of its own'); END;
CREATE TRIGGER consents_move_as_the_lifecycle_allows BEFORE UPDATE ON consents WHEN NEW.key IS NOT OLD.key OR NEW.id IS NOT OLD.id OR NEW.execution_key IS NOT OLD.execution_key OR NEW.opened IS NOT OLD.opened OR NEW.created_at IS NOT OLD.created_at OR (OLD.status <> NEW.status AND NOT (OLD.status = 'pending' AND (NEW.status = 'exchanging' OR NEW.status = 'denied' OR NEW.status = 'expired' OR NEW.status = 'withdrawn') OR OLD.status = 'exchanging' AND (NEW.status = 'pending' OR NEW.status = 'granted' OR NEW.status = 'denied' OR NEW.status = 'expired' OR NEW.status = 'withdrawn'))) OR ((OLD.status = 'granted' OR OLD.status = 'denied' OR OLD.status = 'expired' OR OLD.status = 'withdrawn') AND (NEW.status IS NOT OLD.status OR NEW.closed_at IS NOT OLD.closed_at)) BEGIN SELECT RAISE(ABORT, 'illegal transition of a consent, or a change of what stays'); END;
CREATE TRIGGER consents_begin_at_the_beginning BEFORE INSERT ON consents WHEN NEW.status <> 'pending' OR EXISTS (SELECT 1 FROM consents WHERE key = NEW.key) OR EXISTS (SELECT 1 FROM consents WHERE execution_key = NEW.execution_key AND id = NEW.id) BEGIN SELECT RAISE(ABORT, 'a consent begins as pending, with a key and an id of its own'); END;
CREATE TRIGGER executions_live_ones_stay BEFORE DELETE ON executions WHEN NOT (OLD.status = 'completed' OR OLD.status = 'failed' OR OLD.status = 'cancelled') BEGIN SELECT RAISE(ABORT, 'an execution that has not ended cannot be deleted'); END;
CREATE TRIGGER history_is_only_appended_to BEFORE INSERT ON history WHEN NEW.sequence IS NOT 1 + coalesce((SELECT max(sequence) FROM history), (SELECT sequence FROM history_anchor)) BEGIN SELECT RAISE(ABORT, 'history is append-only'); END;
CREATE TRIGGER history_is_never_changed BEFORE UPDATE ON history BEGIN SELECT RAISE(ABORT, 'history is append-only'); END;
CREATE TRIGGER history_goes_only_by_retention BEFORE DELETE ON history WHEN OLD.sequence > (SELECT sequence FROM history_anchor) BEGIN SELECT RAISE(ABORT, 'history is append-only'); END;
CREATE TRIGGER history_anchor_moves_only_forward BEFORE UPDATE ON history_anchor WHEN NEW.sequence <= OLD.sequence OR NEW.sequence >= (SELECT max(sequence) FROM history) OR NEW.digest IS NOT (SELECT digest FROM history WHERE sequence = NEW.sequence) BEGIN SELECT RAISE(ABORT, 'the anchor moves forward, to a row of history'); END;
CREATE TRIGGER interactions_go_with_their_execution BEFORE DELETE ON interactions WHEN EXISTS (SELECT 1 FROM executions WHERE key = OLD.execution_key) BEGIN SELECT RAISE(ABORT, 'what was asked goes only with its execution'); END;
CREATE TRIGGER consents_go_with_their_execution BEFORE DELETE ON consents WHEN EXISTS (SELECT 1 FROM executions WHERE key = OLD.execution_key) BEGIN SELECT RAISE(ABORT, 'what was asked goes only with its execution'); END;
CREATE TRIGGER history_anchor_is_not_replaced BEFORE INSERT ON history_anchor WHEN EXISTS (SELECT 1 FROM history_anchor) BEGIN SELECT RAISE(ABORT, 'there is one anchor of the history'); END;
CREATE TRIGGER history_anchor_stays BEFORE DELETE ON history_anchor BEGIN SELECT RAISE(ABORT, 'the anchor of the history stays'); END;
CREATE VIEW execution_history AS SELECT sequence, execution_id, event, wait_id, from_status, to_status, actor, cause, strftime('%Y-%m-%dT%H:%M:%fZ', time / 1000.0, 'unixepoch') AS at, time AS at_ms, detail, lower(hex(digest)) AS digest FROM history;
CREATE VIEW open_waits AS SELECT e.id AS execution_id, e.workflow, e.owner, w.kind, w.id AS wait_id, w.text, strftime('%Y-%m-%dT%H:%M:%fZ', w.created_at / 1000.0, 'unixepoch') AS asked_at, strftime('%Y-%m-%dT%H:%M:%fZ', w.deadline_at / 1000.0, 'unixepoch') AS deadline, w.deadline_at AS deadline_ms FROM (SELECT 'interaction' AS kind, execution_key, id, opened, created_at, deadline_at, json_extract(prompt, '$.text') AS text FROM interactions WHERE status = 'pending' UNION ALL SELECT 'consent', execution_key, id, opened, created_at, deadline_at, auth_url FROM consents WHERE status IN ('pending', 'exchanging')) AS w JOIN executions AS e ON e.key = w.execution_key;
CREATE VIEW answers AS SELECT a.execution_id, a.wait_id AS interaction_id, a.actor AS answered_by, strftime('%Y-%m-%dT%H:%M:%fZ', a.time / 1000.0, 'unixepoch') AS answered_at, a.time AS answered_ms, strftime('%Y-%m-%dT%H:%M:%fZ', q.time / 1000.0, 'unixepoch') AS asked_at, a.time - q.time AS waited_ms, json_extract(q.detail, '$.prompt') AS prompt, json_extract(a.detail, '$.response') AS response, a.sequence FROM history AS a LEFT JOIN history AS q ON q.execution_id = a.execution_id AND q.wait_id = a.wait_id AND q.event = 'interaction_asked' WHERE a.event = 'interaction_answered';
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('leases',1);
