CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0002');
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
INSERT INTO "consents" VALUES(1,8,'01a3185c-5000-7ee3-926e-7a1576bbffc9','pending',17,'https://provider.example/authorize','state 1',1800000000000,NULL,NULL);
INSERT INTO "consents" VALUES(2,9,'01a3185c-5000-7d2d-b077-28afbafd3bce','pending',20,'https://provider.example/authorize','state 2',1800000000000,NULL,NULL);
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
INSERT INTO "executions" VALUES(1,'01a3185c-5000-7746-8ef8-1940c6e5b60b','running',1,0,'running','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "executions" VALUES(2,'01a3185c-5000-72e7-9cd9-5add00a65742','interaction_required',2,1,'asks text','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "executions" VALUES(3,'01a3185c-5000-7d27-b0ec-94f286bdd793','interaction_required',2,1,'asks notification','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "executions" VALUES(4,'01a3185c-5000-7885-ba0b-72319e247176','interaction_required',2,1,'asks binary_choice','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "executions" VALUES(5,'01a3185c-5000-7a77-9b3a-9ccedc34db20','interaction_required',2,1,'asks radio','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "executions" VALUES(6,'01a3185c-5000-7ce6-9431-373f20d08757','interaction_required',2,1,'asks checkbox','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "executions" VALUES(7,'01a3185c-5000-7622-b044-6035abb80b29','interaction_required',2,1,'asks dropdown','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "executions" VALUES(8,'01a3185c-5000-79c7-bc0d-567ae5b54f3d','interaction_required',5,2,'asks several','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "executions" VALUES(9,'01a3185c-5000-72c6-8ea0-058d68acdda1','oauth_required',2,1,'consents','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "executions" VALUES(10,'01a3185c-5000-76c9-9c37-40b4345f82aa','completed',2,0,'completed','ada',NULL,1800000000000,1800000000000,1800000600000,NULL,'{"price":[1,2.5,null,"é"]}',NULL,NULL);
INSERT INTO "executions" VALUES(11,'01a3185c-5000-7623-b7f1-a56a9d4b8d3b','completed',2,0,'held','ada',NULL,1800000000000,1800000000000,1800000600000,'an audit','"held"',NULL,NULL);
INSERT INTO "executions" VALUES(12,'01a3185c-5000-76e9-bb16-3d1d504489ae','failed',2,0,'failed','ada',NULL,1800000000000,1800000000000,NULL,NULL,NULL,'It failed.','planned');
INSERT INTO "executions" VALUES(13,'01a3185c-5000-7f18-b851-c98c9a04cde3','cancelled',3,0,'cancelled','ada',NULL,1800000000000,1800000000000,1800000600000,NULL,NULL,NULL,NULL);
INSERT INTO "executions" VALUES(14,'01a3185c-5000-750a-a39e-a20f1fd60900','interaction_required',4,1,'paused.refund','bob',NULL,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "executions" VALUES(15,'01a3185c-5000-7725-8dde-20d742c27cd3','interaction_required',4,1,'paused.parallel','bob',NULL,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "executions" VALUES(16,'01a3185c-5000-77d9-9d2b-5d2fb201957b','running',1,0,'paused.asleep','bob',NULL,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL);
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
INSERT INTO "history" VALUES(1,'01a3185c-5000-7746-8ef8-1940c6e5b60b','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"running","owner":"ada"}',X'29EAE50C4B0E449B87519C9BF4AC8D61082DDD9B81EA99DC3C7B4624EBD3FD50',X'E3517BEC5BEB91050B3F93BC7FBB1A6F42520F84CC27D3D5AA973DC0B457E1B0');
INSERT INTO "history" VALUES(2,'01a3185c-5000-72e7-9cd9-5add00a65742','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"asks text","owner":"ada"}',X'0FE8C861B445585011CA93295184F78CEB61DD212A0CF608B2B5D7CE64E7493E',X'044AC130446F41045F856C30B753863818EB35F3AB3AE8CA8FC85F30687F337F');
INSERT INTO "history" VALUES(3,'01a3185c-5000-72e7-9cd9-5add00a65742','interaction_asked','01a3185c-5000-760e-97c1-465dfa11607b','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"What is your name?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}}',X'B2A2084F980F08BD1DCCB18407339FF01B0CD240083208BF0947449B9408EA30',X'C9E7EA4D7D9CFF192E3266D8A7E5B0DA4BFC3E6A28B31232C4FC7340DD097C38');
INSERT INTO "history" VALUES(4,'01a3185c-5000-7d27-b0ec-94f286bdd793','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"asks notification","owner":"ada"}',X'0B33ED6E5C98A06597EC3F5220E20E8B637A6B0917EB3BB341A96BE4E7C71DEF',X'E8C294025F055D5DD90B13DE6A9EA1BFE79374C286E3ACB0F22DB95CE0E8D84A');
INSERT INTO "history" VALUES(5,'01a3185c-5000-7d27-b0ec-94f286bdd793','interaction_asked','01a3185c-5000-78a4-a9dc-987c7f55a0c7','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"The report is ready.","timeout":null,"error":null,"input_type":"notification"}}',X'5511A5E12E64889D122C8EEAC74EDEE5218053B28A27B5BD7EEEA876079EF9FD',X'55947E00542FFDD81654ADA97B7FBD60B0536EA94BDAA73E2995D56F29179772');
INSERT INTO "history" VALUES(6,'01a3185c-5000-7885-ba0b-72319e247176','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"asks binary_choice","owner":"ada"}',X'90C02E3B32BCC1D07CE2005F65A9F5242E74618890ADF8E03152F61639EE903D',X'B305C57585997B74A65B47F689331D2F536FAA16604C5A520A1B7C7450E1151A');
INSERT INTO "history" VALUES(7,'01a3185c-5000-7885-ba0b-72319e247176','interaction_asked','01a3185c-5000-74d6-81be-a21ff97d4600','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"Go on?","timeout":null,"error":null,"input_type":"binary_choice","options":[{"id":"yes","label":"Yes","value":true},{"id":"no","label":"No","value":false}]}}',X'395DA07F90CAE6D0BFEEFB7E987EC9B068E12296FE04FCF8FAE3D732CD74F36A',X'372CEF918CCF05FBD9A2CDD90570F7C1F6CE760FC7425062BB6599069D502005');
INSERT INTO "history" VALUES(8,'01a3185c-5000-7a77-9b3a-9ccedc34db20','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"asks radio","owner":"ada"}',X'0ECBD5EDAF9E2D9D8837A3634323D11334188766C2B8A3589E288E7AA45DE338',X'FF548321C52B690123F0FC948F89F92382E9AF779DBA551F513693720EEBCBDA');
INSERT INTO "history" VALUES(9,'01a3185c-5000-7a77-9b3a-9ccedc34db20','interaction_asked','01a3185c-5000-7f57-bb6e-e2a1e02cf129','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"How?","timeout":null,"error":null,"options":[{"id":"mail","label":"E-mail","value":"mail","description":"default"},{"id":"call","label":"Call","value":"call","description":"default"}],"input_type":"radio"}}',X'1B06EE8B790244DEE058959CC31908AD7A7433EE3E5B9BC19A11929C3BE666BD',X'B256E6D6FCB56E53369C66EFF8DC98EF0DE96E59D31007F35A0AD8223D4E4AC3');
INSERT INTO "history" VALUES(10,'01a3185c-5000-7ce6-9431-373f20d08757','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"asks checkbox","owner":"ada"}',X'C1F4F741FF01C5AC17D06D7280E47C78EEB0B6355646C2521C851D1D6A3EB328',X'8787A9839A38E21AA1DC11D1D7078E901ECE0CF71BF34996A5222E70E7F260A4');
INSERT INTO "history" VALUES(11,'01a3185c-5000-7ce6-9431-373f20d08757','interaction_asked','01a3185c-5000-7674-9ae8-849ac696d7e5','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"How?","timeout":null,"error":null,"options":[{"id":"mail","label":"E-mail","value":"mail","description":"default"},{"id":"call","label":"Call","value":"call","description":"default"}],"input_type":"checkbox"}}',X'BC3F1CB255202DF93FC26E572CCF9A880456A5EE1F600428F4592B3D1A9B18D8',X'AB97185C5B0976B82D4538B61C5B5A3271DF742995A5D73C342284716AFFAF6C');
INSERT INTO "history" VALUES(12,'01a3185c-5000-7622-b044-6035abb80b29','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"asks dropdown","owner":"ada"}',X'064B9D1D7A93D13429733A0F15458E218DB81FDE8E5D833CAE848343275B137C',X'1B1FF315399FAEAC11B35A51F49C9F788FD3E96007F65AB2B564E5D7EC7EF38A');
INSERT INTO "history" VALUES(13,'01a3185c-5000-7622-b044-6035abb80b29','interaction_asked','01a3185c-5000-7338-b467-7e6aa90c47af','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"How?","timeout":null,"error":null,"options":[{"id":"mail","label":"E-mail","value":"mail","description":"default"},{"id":"call","label":"Call","value":"call","description":"default"}],"input_type":"dropdown"}}',X'90D6E07365CF6693622F1070C4801EF320C883CA9B22D30D4621BDAC9E0784F9',X'BDAF3D6A3DD7B09A2921CEA42E8BE63C71CCCA234A358E63D1E2639C47B80913');
INSERT INTO "history" VALUES(14,'01a3185c-5000-79c7-bc0d-567ae5b54f3d','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"asks several","owner":"ada"}',X'B2E94E22E22893AC3F80125EA659536BCC8E8AD85B509E406F8F737512194D0D',X'D28655C80A4F02AED3ED6D7A2F12A9953C599811BC25C9FDC5C0FDBCE1985D3B');
INSERT INTO "history" VALUES(15,'01a3185c-5000-79c7-bc0d-567ae5b54f3d','interaction_asked','first','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"What is your name?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}}',X'B2A2084F980F08BD1DCCB18407339FF01B0CD240083208BF0947449B9408EA30',X'B2485D0F3B805434308B2D65E25FD3B1436A90B339FDEA2BF80E50F32B7FE691');
INSERT INTO "history" VALUES(16,'01a3185c-5000-79c7-bc0d-567ae5b54f3d','interaction_asked','second','interaction_required','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"Go on?","timeout":null,"error":null,"input_type":"binary_choice","options":[{"id":"yes","label":"Yes","value":true},{"id":"no","label":"No","value":false}]}}',X'395DA07F90CAE6D0BFEEFB7E987EC9B068E12296FE04FCF8FAE3D732CD74F36A',X'9993B0B628A8B647F6347946160D39C04A7BABB5D0AE038EEF47135122A29BA4');
INSERT INTO "history" VALUES(17,'01a3185c-5000-79c7-bc0d-567ae5b54f3d','consent_asked','01a3185c-5000-7ee3-926e-7a1576bbffc9','interaction_required','interaction_required',NULL,NULL,1800000000000,NULL,NULL,X'985A496CF8BE5960D9E2D6F0058E7F08ACDFF1A5E0ED02B87E154C68F78E7FDD');
INSERT INTO "history" VALUES(18,'01a3185c-5000-79c7-bc0d-567ae5b54f3d','interaction_answered','first','interaction_required','interaction_required','grace',NULL,1800000000000,'{"response":{"type":"text","text":"Ada"}}',X'D9C0036DED1D58CC269160D399D37E08BD20369D2E0CC435C24C823554B8AE52',X'3466CCF25C45D8600AD2D02531A376DBE95458C07A2A6EBCEF7DB4A4E270A5DA');
INSERT INTO "history" VALUES(19,'01a3185c-5000-72c6-8ea0-058d68acdda1','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"consents","owner":"ada"}',X'5E344D88E4C16D07E52220D429155F4B975BE51BE4E190C0BFF16857769DCEE4',X'2479CC7E0BF281A2BEFAE90D66EE0D059C3203A7D3DE2FEC546B5851444F0B3C');
INSERT INTO "history" VALUES(20,'01a3185c-5000-72c6-8ea0-058d68acdda1','consent_asked','01a3185c-5000-7d2d-b077-28afbafd3bce','running','oauth_required',NULL,NULL,1800000000000,NULL,NULL,X'3B60780E38163822708295167B66523B9DB93FD639D1E65F80FB7B5D5B847FED');
INSERT INTO "history" VALUES(21,'01a3185c-5000-76c9-9c37-40b4345f82aa','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"completed","owner":"ada"}',X'621AA87ED460C0E333DB418353863ED7613B0BB97EB3B9D7421C5CABC0E110A4',X'557151291D45767EA4F9A1C51360EDBB20D5317C4B72AF03EACF5849543B58A3');
INSERT INTO "history" VALUES(22,'01a3185c-5000-76c9-9c37-40b4345f82aa','execution_completed',NULL,'running','completed',NULL,NULL,1800000000000,NULL,NULL,X'1578BC25EA3E233032DF16A559568CE599D15DFD4F3C127483EF3E36B746E725');
INSERT INTO "history" VALUES(23,'01a3185c-5000-7623-b7f1-a56a9d4b8d3b','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"held","owner":"ada"}',X'5EE31D19A260912F3D1356AB82EE55ADFA60D8231B7E5FE029ADF2EBB909A76D',X'C323B550E9728CE9932AFA081379A7B1EEA4977B2FBCFDE2E8486ABCA9FFF948');
INSERT INTO "history" VALUES(24,'01a3185c-5000-7623-b7f1-a56a9d4b8d3b','execution_completed',NULL,'running','completed',NULL,NULL,1800000000000,NULL,NULL,X'1E33B3E6031AE85069DB8A8779B5BAD9CEB292AD7CBAD08C32515539D0E681D1');
INSERT INTO "history" VALUES(25,'01a3185c-5000-7623-b7f1-a56a9d4b8d3b','execution_held',NULL,'completed','completed','otto','an audit',1800000000000,NULL,NULL,X'AA31B6C49F388811436E1CA34178350AD2A54AD2B7368E9747854EDA6E254E8D');
INSERT INTO "history" VALUES(26,'01a3185c-5000-76e9-bb16-3d1d504489ae','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"failed","owner":"ada"}',X'721FEA088894166B82BCA4116D5A003892F6137D57ACCB49A5BDC19B458AB095',X'321E102AC282DC17BE7AB01528A9EDAB42F51BEB9561E32793C794ED260C1E4B');
INSERT INTO "history" VALUES(27,'01a3185c-5000-76e9-bb16-3d1d504489ae','execution_failed',NULL,'running','failed',NULL,NULL,1800000000000,'{"error":"It failed.","code":"planned"}',X'8E98F618CB5674EC65A73EE16E02BD1B3E560594CA6543CC2B8477FB4BE2DB99',X'2B7F2F59AE725F7FB83B0C2EC912E54DFB5FD544862B9748EB98FE20F517EAA5');
INSERT INTO "history" VALUES(28,'01a3185c-5000-7f18-b851-c98c9a04cde3','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"cancelled","owner":"ada"}',X'3540840F0B8001DE8FE4E27B702608EF39AEEDE55FCB3EF99D47A155FC434718',X'5C27CF952344B5A1B01D021BF120DB6C16C5ADA7ED57EFA32F9A4CFAB969A634');
INSERT INTO "history" VALUES(29,'01a3185c-5000-7f18-b851-c98c9a04cde3','interaction_asked','01a3185c-5000-785e-a6fb-1d4ade28dac7','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"What is your name?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}}',X'B2A2084F980F08BD1DCCB18407339FF01B0CD240083208BF0947449B9408EA30',X'308FB8FD4A1E043A412B1425F1AE83027DD0861871B08077CADFD1A292FE0A14');
INSERT INTO "history" VALUES(30,'01a3185c-5000-7f18-b851-c98c9a04cde3','execution_cancelled',NULL,'interaction_required','cancelled','ada','enough',1800000000000,NULL,NULL,X'0527949739DFCBAA72CFDB7FB1CBC7CA21737B3172700696288042BB89B4C420');
INSERT INTO "history" VALUES(31,'01a3185c-5000-7f18-b851-c98c9a04cde3','interaction_withdrawn','01a3185c-5000-785e-a6fb-1d4ade28dac7','cancelled','cancelled','ada','execution cancelled',1800000000000,NULL,NULL,X'77EB0AD8A99D43CBB3160908A1957A7C9C09F6FAABA08DE4315B9AFED0E29140');
INSERT INTO "history" VALUES(32,'01a3185c-5000-7504-8eee-7db4968c02d6','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"removed","owner":"ada"}',X'C7BFF33DFC0EBAE8027EAAB6431E505A3A1A947A88924E8FBCF13B466E1B2F08',X'5A3FFD2DCFD96F384A30E293B6779AF4E4F9CDB776F7FC406A15DADF96ACBD5E');
INSERT INTO "history" VALUES(33,'01a3185c-5000-7504-8eee-7db4968c02d6','execution_completed',NULL,'running','completed',NULL,NULL,1800000000000,NULL,NULL,X'2D39A80C7D59D1A275C3324AEA59F82F8C6CD3055D5B66DFAAC222ED6BE1DD10');
INSERT INTO "history" VALUES(34,'01a3185c-5000-7504-8eee-7db4968c02d6','execution_removed',NULL,'completed',NULL,NULL,NULL,1800000000000,NULL,NULL,X'99D3E6E1C3DCB1901109A9CD2BDC2C9A11BE1C322BB0FB91E89F8159772388EC');
INSERT INTO "history" VALUES(35,'01a3185c-5000-750a-a39e-a20f1fd60900','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"paused.refund","owner":"bob"}',X'3E0A647811ECDA1195E43708FB959766D802AAC9CAF32228240D7F3F94ABF1A6',X'27D7AC5CC4BAE79BC19375FF9297CC685F6A8D3DEF4EF015AFD279174BCF1847');
INSERT INTO "history" VALUES(36,'01a3185c-5000-7725-8dde-20d742c27cd3','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"paused.parallel","owner":"bob"}',X'15C6885A988EFE98A310031367D9D5A3D52CE7B77710C9A6C1320AA181BCCF8F',X'4FFAFAB209914F1A769F44271C4797283E601A2CA4D2AF3A7059AC0B664C1220');
INSERT INTO "history" VALUES(37,'01a3185c-5000-77d9-9d2b-5d2fb201957b','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"paused.asleep","owner":"bob"}',X'75A0ABB8EB496D040890B74002208499AD8F36AD1C1FA888F72740A2D422B7ED',X'3E972F10E02F3969AD793A4B57C6673514C232B9F09E3C4DAAE32C916965DC83');
INSERT INTO "history" VALUES(38,'01a3185c-5000-7725-8dde-20d742c27cd3','interaction_asked','01a3185c-5000-7500-9ebd-01c14c083c2a','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"Left?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}}',X'A3D3F070DEF40C02ACA1E1A05CE0793313D22107C36847CA4584AB29E3897046',X'B720F7CDAF682F36F6855A57DF1BBC320C1B81F3D96E6737C130C40FF5D61B7B');
INSERT INTO "history" VALUES(39,'01a3185c-5000-7725-8dde-20d742c27cd3','interaction_asked','01a3185c-5000-7552-a4d2-46bbad1fee3f','interaction_required','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"Right?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}}',X'690E3C96483F6B59D9AC5D704EF145E4E38B324798F81F444BF29F70B7925D5E',X'B71CD3C3E38E6D4A34F2AB088DDFB213F63C5AB81C096808AC894F82289C56A3');
INSERT INTO "history" VALUES(40,'01a3185c-5000-750a-a39e-a20f1fd60900','interaction_asked','01a3185c-5000-7134-8f84-4fd04df63514','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"Refund it?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}}',X'DF25CD23B91E0169937096F3BEAC0945E1A0E40D1747DFF72F2382ED5008D725',X'576ECBDD3873DEFB047CD10916CB7464F2D8176950A996A7C10AB3074FB55AF9');
INSERT INTO "history" VALUES(41,'01a3185c-5000-750a-a39e-a20f1fd60900','interaction_answered','01a3185c-5000-7134-8f84-4fd04df63514','interaction_required','running',NULL,NULL,1800000000000,'{"response":{"type":"text","text":"Yes"}}',X'81BB75A9163C9087E6BAA956B06414EBD4EB2C4ECB044A9CF2DFD94A04C683CC',X'616663945CF28C8626F74B341F29AD97BEA2B032D7DD88BBB8AF324EA62CD938');
INSERT INTO "history" VALUES(42,'01a3185c-5000-750a-a39e-a20f1fd60900','emitted',NULL,'running','running',NULL,NULL,1800000000000,'{"position":"3"}',X'8E966E08AF0AD169199A6805424E8A25F7977756101CDA707EEC502C5AF1879A',X'1AE09F1CC65C0B9F4E7DBC0C638CFAC5DF1D643C24B1F665E0083064613B9049');
INSERT INTO "history" VALUES(43,'01a3185c-5000-750a-a39e-a20f1fd60900','notified',NULL,'running','running',NULL,NULL,1800000000000,'{"position":"4"}',X'A02A51D324EA523DFB1B227D5E524BF638BBB1925F0F372479388839BE4C4518',X'588AA2E4AA356EAB762F69A48F979CD8E8D8C64BF2447B7ED66325E8E39580C4');
INSERT INTO "history" VALUES(44,'01a3185c-5000-750a-a39e-a20f1fd60900','interaction_asked','01a3185c-5000-74e5-8c45-51b6f219293f','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"Why?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true},"assignees":["ada","group:finance"],"four_eyes":true}',X'D44FF5A9E6D5F02787E9D3FE7B456386A1057E7C5EC7EFFD5AEB99E77D4CF66F',X'A49D12F6297444489A5313C50FD672DC420891EC21D1886F7B3FACE2E1BCA38A');
INSERT INTO "history" VALUES(45,'01a3185c-5000-7725-8dde-20d742c27cd3','interaction_answered','01a3185c-5000-7500-9ebd-01c14c083c2a','interaction_required','interaction_required',NULL,NULL,1800000000000,'{"response":{"type":"text","text":"L"}}',X'8F4A8C8A905145A1AB51E1CFEA8B71FB86497C134A2E1543917480233CAA0B4F',X'8158E483D06D78EE30BAD8719C4284DFFFDBA898566E5E2E805EAE42F3346DA8');
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
INSERT INTO "interactions" VALUES(1,2,'01a3185c-5000-760e-97c1-465dfa11607b','pending',3,'{"text":"What is your name?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(2,3,'01a3185c-5000-78a4-a9dc-987c7f55a0c7','pending',5,'{"text":"The report is ready.","timeout":null,"error":null,"input_type":"notification"}',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(3,4,'01a3185c-5000-74d6-81be-a21ff97d4600','pending',7,'{"text":"Go on?","timeout":null,"error":null,"input_type":"binary_choice","options":[{"id":"yes","label":"Yes","value":true},{"id":"no","label":"No","value":false}]}',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(4,5,'01a3185c-5000-7f57-bb6e-e2a1e02cf129','pending',9,'{"text":"How?","timeout":null,"error":null,"options":[{"id":"mail","label":"E-mail","value":"mail","description":"default"},{"id":"call","label":"Call","value":"call","description":"default"}],"input_type":"radio"}',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(5,6,'01a3185c-5000-7674-9ae8-849ac696d7e5','pending',11,'{"text":"How?","timeout":null,"error":null,"options":[{"id":"mail","label":"E-mail","value":"mail","description":"default"},{"id":"call","label":"Call","value":"call","description":"default"}],"input_type":"checkbox"}',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(6,7,'01a3185c-5000-7338-b467-7e6aa90c47af','pending',13,'{"text":"How?","timeout":null,"error":null,"options":[{"id":"mail","label":"E-mail","value":"mail","description":"default"},{"id":"call","label":"Call","value":"call","description":"default"}],"input_type":"dropdown"}',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(7,8,'first','answered',15,'{"text":"What is your name?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}',1800000000000,NULL,1800000000000,'{"type":"text","text":"Ada"}','grace',NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(8,8,'second','pending',16,'{"text":"Go on?","timeout":null,"error":null,"input_type":"binary_choice","options":[{"id":"yes","label":"Yes","value":true},{"id":"no","label":"No","value":false}]}',1800000000000,1807776000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(9,13,'01a3185c-5000-785e-a6fb-1d4ade28dac7','withdrawn',29,'{"text":"What is your name?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}',1800000000000,NULL,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(10,15,'01a3185c-5000-7500-9ebd-01c14c083c2a','answered',38,'{"text":"Left?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}',1800000000000,1807776000000,1800000000000,'{"type":"text","text":"L"}',NULL,NULL,NULL,'fail',NULL);
INSERT INTO "interactions" VALUES(11,15,'01a3185c-5000-7552-a4d2-46bbad1fee3f','pending',39,'{"text":"Right?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(12,14,'01a3185c-5000-7134-8f84-4fd04df63514','answered',40,'{"text":"Refund it?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}',1800000000000,NULL,1800000000000,'{"type":"text","text":"Yes"}',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(13,14,'01a3185c-5000-74e5-8c45-51b6f219293f','pending',44,'{"text":"Why?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}',1800000000000,NULL,NULL,NULL,NULL,'["ada","group:finance"]',1,NULL,NULL);
CREATE TABLE journal (
    execution_key INTEGER NOT NULL,
    position TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    result TEXT,
    recorded_at INTEGER NOT NULL, error TEXT, settled INTEGER, ordinal INTEGER,
    PRIMARY KEY (execution_key, position),
    CONSTRAINT journal_result_is_json CHECK (result IS NULL OR json_valid(result)),
    FOREIGN KEY(execution_key) REFERENCES executions ("key") ON DELETE CASCADE
)
 WITHOUT ROWID;
INSERT INTO "journal" VALUES(14,'1','step','priced','96d6e92f3506979b','8',1800000000000,NULL,36,1);
INSERT INTO "journal" VALUES(14,'2','ask','text','bc47e1cc074fbaa6','"01a3185c-5000-7134-8f84-4fd04df63514"',1800000000000,NULL,NULL,NULL);
INSERT INTO "journal" VALUES(14,'3','emit','data','811e41e444d0645d','{"price":8}',1800000000000,NULL,41,2);
INSERT INTO "journal" VALUES(14,'4','notify','notification','7c202b7df096b645','{"text":"Half of it is done.","timeout":null,"error":null,"input_type":"notification"}',1800000000000,NULL,42,3);
INSERT INTO "journal" VALUES(14,'5','ask','text','dc55d7455cfcb19f','"01a3185c-5000-74e5-8c45-51b6f219293f"',1800000000000,NULL,NULL,NULL);
INSERT INTO "journal" VALUES(15,'1','ask','text','46166b3303042d80','"01a3185c-5000-7500-9ebd-01c14c083c2a"',1800000000000,NULL,NULL,NULL);
INSERT INTO "journal" VALUES(15,'2','ask','text','82e36f12e8efca86','"01a3185c-5000-7552-a4d2-46bbad1fee3f"',1800000000000,NULL,NULL,NULL);
INSERT INTO "journal" VALUES(16,'1','sleep','sleep','9f05fa724980dc27','{"until":1800086400000}',1800000000000,NULL,NULL,NULL);
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
CREATE INDEX executions_to_sweep ON executions (expires_at) WHERE expires_at IS NOT NULL AND hold IS NULL;
CREATE INDEX history_of_execution ON history (execution_id) WHERE execution_id IS NOT NULL;
CREATE INDEX consents_open ON consents (deadline_at) WHERE status IN ('pending', 'exchanging');
CREATE INDEX interactions_open ON interactions (deadline_at) WHERE status = 'pending';
CREATE TRIGGER executions_move_as_the_lifecycle_allows BEFORE UPDATE ON executions WHEN NEW.key IS NOT OLD.key OR NEW.id IS NOT OLD.id OR NEW.created_at IS NOT OLD.created_at OR (OLD.status <> NEW.status AND NOT (OLD.status = 'running' AND (NEW.status = 'interaction_required' OR NEW.status = 'oauth_required' OR NEW.status = 'completed' OR NEW.status = 'failed' OR NEW.status = 'cancelled') OR OLD.status = 'interaction_required' AND (NEW.status = 'oauth_required' OR NEW.status = 'running' OR NEW.status = 'failed' OR NEW.status = 'cancelled') OR OLD.status = 'oauth_required' AND (NEW.status = 'interaction_required' OR NEW.status = 'running' OR NEW.status = 'failed' OR NEW.status = 'cancelled'))) OR ((OLD.status = 'completed' OR OLD.status = 'failed' OR OLD.status = 'cancelled') AND (NEW.status IS NOT OLD.status OR NEW.completed_at IS NOT OLD.completed_at OR NEW.result IS NOT OLD.result OR NEW.error IS NOT OLD.error OR NEW.error_code IS NOT OLD.error_code)) BEGIN SELECT RAISE(ABORT, 'illegal transition of an execution, or a change of what stays'); END;
CREATE TRIGGER executions_begin_at_the_beginning BEFORE INSERT ON executions WHEN NEW.status <> 'running' OR EXISTS (SELECT 1 FROM executions WHERE key = NEW.key) OR EXISTS (SELECT 1 FROM executions WHERE id = NEW.id) BEGIN SELECT RAISE(ABORT, 'an execution begins as running, with a key and an id of its own'); END;
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
CREATE VIEW answers AS SELECT a.execution_id, a.wait_id AS interaction_id, a.actor AS answered_by, strftime('%Y-%m-%dT%H:%M:%fZ', a.time / 1000.0, 'unixepoch') AS answered_at, a.time AS answered_ms, strftime('%Y-%m-%dT%H:%M:%fZ', q.time / 1000.0, 'unixepoch') AS asked_at, a.time - q.time AS waited_ms, json_extract(q.detail, '$.prompt') AS prompt, json_extract(a.detail, '$.response') AS response, a.sequence FROM history AS a LEFT JOIN history AS q ON q.execution_id = a.execution_id AND q.wait_id = a.wait_id AND q.event = 'interaction_asked' WHERE a.event = 'interaction_answered';
CREATE INDEX runs_asleep ON runs (wake_at) WHERE wake_at IS NOT NULL;
CREATE INDEX runs_claimed ON runs (lease) WHERE lease IS NOT NULL;
CREATE INDEX runs_ready ON runs (execution_key) WHERE ready = 1 AND lease IS NULL;
CREATE UNIQUE INDEX runs_start_is_unique ON runs (start_sha256) WHERE start_sha256 IS NOT NULL;
CREATE INDEX runs_with_a_problem ON runs (execution_key) WHERE problem IS NOT NULL;
CREATE TRIGGER interactions_move_as_the_lifecycle_allows BEFORE UPDATE ON interactions WHEN NEW.key IS NOT OLD.key OR NEW.id IS NOT OLD.id OR NEW.execution_key IS NOT OLD.execution_key OR NEW.prompt IS NOT OLD.prompt OR NEW.opened IS NOT OLD.opened OR NEW.created_at IS NOT OLD.created_at OR NEW.assignees IS NOT OLD.assignees OR NEW.four_eyes IS NOT OLD.four_eyes OR NEW.on_deadline IS NOT OLD.on_deadline OR NEW.default_response IS NOT OLD.default_response OR (OLD.status <> NEW.status AND NOT (OLD.status = 'pending' AND (NEW.status = 'answered' OR NEW.status = 'expired' OR NEW.status = 'withdrawn'))) OR ((OLD.status = 'answered' OR OLD.status = 'expired' OR OLD.status = 'withdrawn') AND (NEW.status IS NOT OLD.status OR NEW.response IS NOT OLD.response OR NEW.answered_by IS NOT OLD.answered_by OR NEW.closed_at IS NOT OLD.closed_at)) BEGIN SELECT RAISE(ABORT, 'illegal transition of an interaction, or a change of what stays'); END;
CREATE VIEW open_waits AS SELECT e.id AS execution_id, e.workflow, e.owner, w.kind, w.id AS wait_id, w.text, strftime('%Y-%m-%dT%H:%M:%fZ', w.created_at / 1000.0, 'unixepoch') AS asked_at, strftime('%Y-%m-%dT%H:%M:%fZ', w.deadline_at / 1000.0, 'unixepoch') AS deadline, w.deadline_at AS deadline_ms, w.assignees FROM (SELECT 'interaction' AS kind, execution_key, id, opened, created_at, deadline_at, json_extract(prompt, '$.text') AS text, assignees FROM interactions WHERE status = 'pending' UNION ALL SELECT 'consent', execution_key, id, opened, created_at, deadline_at, auth_url, NULL FROM consents WHERE status IN ('pending', 'exchanging')) AS w JOIN executions AS e ON e.key = w.execution_key;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('leases',1);
