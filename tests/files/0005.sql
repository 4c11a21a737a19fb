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
INSERT INTO "consents" VALUES(1,8,'01a3185c-5000-745a-8c1f-b8ce609d3e17','pending',17,'https://provider.example/authorize','state 1',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "consents" VALUES(2,9,'01a3185c-5000-7a8d-ac4f-05fcb1200014','pending',20,'https://provider.example/authorize','state 2',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
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
INSERT INTO "executions" VALUES(1,'01a3185c-5000-7446-9ea0-e520aebdde4e','running',1,0,'running','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(2,'01a3185c-5000-7802-bb62-73fe18e89037','interaction_required',2,1,'asks text','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(3,'01a3185c-5000-7bbf-acd8-33c1e9ef5ff9','interaction_required',2,1,'asks notification','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(4,'01a3185c-5000-73c2-8ff7-571af757df26','interaction_required',2,1,'asks binary_choice','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(5,'01a3185c-5000-7d82-a9d3-fc92c1156aff','interaction_required',2,1,'asks radio','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(6,'01a3185c-5000-7084-af7d-461c26ed5ba6','interaction_required',2,1,'asks checkbox','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(7,'01a3185c-5000-7823-899a-2ccbdc6cfdbb','interaction_required',2,1,'asks dropdown','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(8,'01a3185c-5000-70e3-983b-535de1061180','interaction_required',5,2,'asks several','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(9,'01a3185c-5000-760d-881a-f0f4ab1d5eb2','oauth_required',2,1,'consents','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(10,'01a3185c-5000-7d21-8bf3-ef465d7503b5','completed',2,0,'completed','ada',NULL,1800000000000,1800000000000,1800000600000,NULL,'{"price":[1,2.5,null,"é"]}',NULL,NULL,NULL,0,0,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(11,'01a3185c-5000-780f-b45b-4588347c59c4','completed',2,0,'held','ada',NULL,1800000000000,1800000000000,1800000600000,'an audit','"held"',NULL,NULL,NULL,0,0,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(12,'01a3185c-5000-72cd-b023-6e996ec30f2e','failed',2,0,'failed','ada',NULL,1800000000000,1800000000000,NULL,NULL,NULL,'It failed.','planned',NULL,0,0,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(13,'01a3185c-5000-706a-8fa6-0ce572ae6c53','cancelled',3,0,'cancelled','ada',NULL,1800000000000,1800000000000,1800000600000,NULL,NULL,NULL,NULL,NULL,0,0,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(14,'01a3185c-5000-7b9b-92b2-f490b38682e3','interaction_required',4,1,'paused.refund','bob',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,1,1,0,NULL,NULL);
INSERT INTO "executions" VALUES(15,'01a3185c-5000-7ade-9712-600c9fff8cc2','interaction_required',4,1,'paused.parallel','bob',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,1,1,0,NULL,NULL);
INSERT INTO "executions" VALUES(16,'01a3185c-5000-777e-bf97-beda6e09b184','running',1,0,'paused.asleep','bob',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,1,0,0,NULL,NULL);
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
INSERT INTO "history" VALUES(1,'01a3185c-5000-7446-9ea0-e520aebdde4e','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"running","owner":"ada"}',X'29EAE50C4B0E449B87519C9BF4AC8D61082DDD9B81EA99DC3C7B4624EBD3FD50',X'45CEF2BB92C3886542DBB6FBADD7E38A3797BD60DC325790D0424C4D576774A0');
INSERT INTO "history" VALUES(2,'01a3185c-5000-7802-bb62-73fe18e89037','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"asks text","owner":"ada"}',X'0FE8C861B445585011CA93295184F78CEB61DD212A0CF608B2B5D7CE64E7493E',X'B10D6BBED26BE4198FF267155795897F4D91E38F1B627CC098CB0D4144C9E823');
INSERT INTO "history" VALUES(3,'01a3185c-5000-7802-bb62-73fe18e89037','interaction_asked','01a3185c-5000-7a03-92ca-804e117130e7','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"What is your name?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}}',X'B2A2084F980F08BD1DCCB18407339FF01B0CD240083208BF0947449B9408EA30',X'25C954E551990D79241D1342FC15F47ACC824C52D7885848F6A481A708634935');
INSERT INTO "history" VALUES(4,'01a3185c-5000-7bbf-acd8-33c1e9ef5ff9','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"asks notification","owner":"ada"}',X'0B33ED6E5C98A06597EC3F5220E20E8B637A6B0917EB3BB341A96BE4E7C71DEF',X'14F1A62B7DCEEFB77C857FA709DD1CBE984228453ACED0328EEF83E9CAC02102');
INSERT INTO "history" VALUES(5,'01a3185c-5000-7bbf-acd8-33c1e9ef5ff9','interaction_asked','01a3185c-5000-7534-bf8e-5a596a3ce125','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"The report is ready.","timeout":null,"error":null,"input_type":"notification"}}',X'5511A5E12E64889D122C8EEAC74EDEE5218053B28A27B5BD7EEEA876079EF9FD',X'919AEEB6E917DD754ACE7BCA09C64D3F6D20B2F1294E9921C40A4B6547DE3D1A');
INSERT INTO "history" VALUES(6,'01a3185c-5000-73c2-8ff7-571af757df26','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"asks binary_choice","owner":"ada"}',X'90C02E3B32BCC1D07CE2005F65A9F5242E74618890ADF8E03152F61639EE903D',X'BC3EDDE799C2ACDA05863BB5D4165A210163A3C1E1747485159E9321AFB2CE1D');
INSERT INTO "history" VALUES(7,'01a3185c-5000-73c2-8ff7-571af757df26','interaction_asked','01a3185c-5000-7027-af8d-bad045798aed','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"Go on?","timeout":null,"error":null,"input_type":"binary_choice","options":[{"id":"yes","label":"Yes","value":true},{"id":"no","label":"No","value":false}]}}',X'395DA07F90CAE6D0BFEEFB7E987EC9B068E12296FE04FCF8FAE3D732CD74F36A',X'5FA093D3E380F5DD4524AB417B999C2EDF42C8BA9ACE75791B924E04DA5CEA94');
INSERT INTO "history" VALUES(8,'01a3185c-5000-7d82-a9d3-fc92c1156aff','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"asks radio","owner":"ada"}',X'0ECBD5EDAF9E2D9D8837A3634323D11334188766C2B8A3589E288E7AA45DE338',X'5A49F0DC27D64D196F5CEC99BFEDE4E7AB9FB74D0DAB662718327318AD713DFE');
INSERT INTO "history" VALUES(9,'01a3185c-5000-7d82-a9d3-fc92c1156aff','interaction_asked','01a3185c-5000-7dd1-8dad-657e0a224dcd','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"How?","timeout":null,"error":null,"options":[{"id":"mail","label":"E-mail","value":"mail","description":"default"},{"id":"call","label":"Call","value":"call","description":"default"}],"input_type":"radio"}}',X'1B06EE8B790244DEE058959CC31908AD7A7433EE3E5B9BC19A11929C3BE666BD',X'071EAE42229DB263E3F845841131E9D88C257916BFD5B2A72A13945D23C5A888');
INSERT INTO "history" VALUES(10,'01a3185c-5000-7084-af7d-461c26ed5ba6','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"asks checkbox","owner":"ada"}',X'C1F4F741FF01C5AC17D06D7280E47C78EEB0B6355646C2521C851D1D6A3EB328',X'F14A9C9F588A5D712BE53FE9EE5E835DAE936F79FF57C76D82D1102C5EEC3A1A');
INSERT INTO "history" VALUES(11,'01a3185c-5000-7084-af7d-461c26ed5ba6','interaction_asked','01a3185c-5000-7425-9c7f-5a7b7202be1d','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"How?","timeout":null,"error":null,"options":[{"id":"mail","label":"E-mail","value":"mail","description":"default"},{"id":"call","label":"Call","value":"call","description":"default"}],"input_type":"checkbox"}}',X'BC3F1CB255202DF93FC26E572CCF9A880456A5EE1F600428F4592B3D1A9B18D8',X'B41C0237C86B96F5C01422C0AC225BB22D0CB53A232D8107AF88AA2E70F0EC14');
INSERT INTO "history" VALUES(12,'01a3185c-5000-7823-899a-2ccbdc6cfdbb','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"asks dropdown","owner":"ada"}',X'064B9D1D7A93D13429733A0F15458E218DB81FDE8E5D833CAE848343275B137C',X'49DBD38C740535BF35766DCF5AA21072EE99D08E575B9536A1C3C5B6B7616F5D');
INSERT INTO "history" VALUES(13,'01a3185c-5000-7823-899a-2ccbdc6cfdbb','interaction_asked','01a3185c-5000-7433-bbad-bf26586bcb97','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"How?","timeout":null,"error":null,"options":[{"id":"mail","label":"E-mail","value":"mail","description":"default"},{"id":"call","label":"Call","value":"call","description":"default"}],"input_type":"dropdown"}}',X'90D6E07365CF6693622F1070C4801EF320C883CA9B22D30D4621BDAC9E0784F9',X'790FE50A563CFF991938F940787E51C1E26991F4C29A38112DB7001A37A8BEE0');
INSERT INTO "history" VALUES(14,'01a3185c-5000-70e3-983b-535de1061180','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"asks several","owner":"ada"}',X'B2E94E22E22893AC3F80125EA659536BCC8E8AD85B509E406F8F737512194D0D',X'F6C0EB7EBD20D8C3B034A31053C7B8F33D01F78560A41CF7DB5749475ABBBF48');
INSERT INTO "history" VALUES(15,'01a3185c-5000-70e3-983b-535de1061180','interaction_asked','first','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"What is your name?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}}',X'B2A2084F980F08BD1DCCB18407339FF01B0CD240083208BF0947449B9408EA30',X'8D5D6E33610C59D51992CAC0F9BC59DF9000D50B0D7B7917579B3022E442A3B2');
INSERT INTO "history" VALUES(16,'01a3185c-5000-70e3-983b-535de1061180','interaction_asked','second','interaction_required','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"Go on?","timeout":null,"error":null,"input_type":"binary_choice","options":[{"id":"yes","label":"Yes","value":true},{"id":"no","label":"No","value":false}]}}',X'395DA07F90CAE6D0BFEEFB7E987EC9B068E12296FE04FCF8FAE3D732CD74F36A',X'16574461D63601085E3E87F2FF2AD0C313B27AAFF198E4EE0F6FE086C0F9B68B');
INSERT INTO "history" VALUES(17,'01a3185c-5000-70e3-983b-535de1061180','consent_asked','01a3185c-5000-745a-8c1f-b8ce609d3e17','interaction_required','interaction_required',NULL,NULL,1800000000000,NULL,NULL,X'B1B0A329CADD626A9EB07E7D9B6A8265F589AADE960D4FF048CA38A5CBBA7363');
INSERT INTO "history" VALUES(18,'01a3185c-5000-70e3-983b-535de1061180','interaction_answered','first','interaction_required','interaction_required','grace',NULL,1800000000000,'{"response":{"type":"text","text":"Ada"}}',X'D9C0036DED1D58CC269160D399D37E08BD20369D2E0CC435C24C823554B8AE52',X'C79C896E3264A44FD80058EF5AF85DF35CF5918854471724933B974230F08958');
INSERT INTO "history" VALUES(19,'01a3185c-5000-760d-881a-f0f4ab1d5eb2','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"consents","owner":"ada"}',X'5E344D88E4C16D07E52220D429155F4B975BE51BE4E190C0BFF16857769DCEE4',X'D5CE617EAD8117718BDD814AEC0CC51AE333C9566964E566A64D9DD2E060B0B5');
INSERT INTO "history" VALUES(20,'01a3185c-5000-760d-881a-f0f4ab1d5eb2','consent_asked','01a3185c-5000-7a8d-ac4f-05fcb1200014','running','oauth_required',NULL,NULL,1800000000000,NULL,NULL,X'D5430460540183D003CD26A46A1C611B0AF39CFB20B2699A5F38E9392D93ED99');
INSERT INTO "history" VALUES(21,'01a3185c-5000-7d21-8bf3-ef465d7503b5','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"completed","owner":"ada"}',X'621AA87ED460C0E333DB418353863ED7613B0BB97EB3B9D7421C5CABC0E110A4',X'852F39BD86D21B7754A34F85F41D148CB78574593F947C15E36103DE84849CD1');
INSERT INTO "history" VALUES(22,'01a3185c-5000-7d21-8bf3-ef465d7503b5','execution_completed',NULL,'running','completed',NULL,NULL,1800000000000,NULL,X'A41F7FAF3D298A56DD8960EDDAA3EC31FF033750D7FD8147CFFAC12AC44C035F',X'A6367024A1FEC3CF88947EF1AC56BC9B7397A18B8608F24221656487DD0C5424');
INSERT INTO "history" VALUES(23,'01a3185c-5000-780f-b45b-4588347c59c4','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"held","owner":"ada"}',X'5EE31D19A260912F3D1356AB82EE55ADFA60D8231B7E5FE029ADF2EBB909A76D',X'7FB85087CBC8BF0479432E7171CF8068F820FBB7B66A1F586434BCB86D1B6E7C');
INSERT INTO "history" VALUES(24,'01a3185c-5000-780f-b45b-4588347c59c4','execution_completed',NULL,'running','completed',NULL,NULL,1800000000000,NULL,X'FCD86AC6B458C22662F923D21C3E8AE570DEE43713FDAEDC2A1E3BA47F95992B',X'D675A13A8C50CB548F90CE87C1E94F6E2A2C1339ABAAA195799F51383725C551');
INSERT INTO "history" VALUES(25,'01a3185c-5000-780f-b45b-4588347c59c4','execution_held',NULL,'completed','completed','otto','an audit',1800000000000,NULL,NULL,X'DAC75DA300A583B0D65CD85AC03541D7A4EA14FFBB81E4DD92018A5BCD67FAF7');
INSERT INTO "history" VALUES(26,'01a3185c-5000-72cd-b023-6e996ec30f2e','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"failed","owner":"ada"}',X'721FEA088894166B82BCA4116D5A003892F6137D57ACCB49A5BDC19B458AB095',X'DE016C218C2B9964561C14DFBDCCAE07E633DC00964869CE0B11508F0FC5BF23');
INSERT INTO "history" VALUES(27,'01a3185c-5000-72cd-b023-6e996ec30f2e','execution_failed',NULL,'running','failed',NULL,NULL,1800000000000,'{"error":"It failed.","code":"planned"}',X'8E98F618CB5674EC65A73EE16E02BD1B3E560594CA6543CC2B8477FB4BE2DB99',X'159A3821FD92D420A7E394F1D429E743C70EBDDE24C447F6664A680D68C5E00D');
INSERT INTO "history" VALUES(28,'01a3185c-5000-706a-8fa6-0ce572ae6c53','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"cancelled","owner":"ada"}',X'3540840F0B8001DE8FE4E27B702608EF39AEEDE55FCB3EF99D47A155FC434718',X'7E68A8ABDC5F9C688B40CF35BA5BC414EC107820EADF776CA41C6E03A7F6C28E');
INSERT INTO "history" VALUES(29,'01a3185c-5000-706a-8fa6-0ce572ae6c53','interaction_asked','01a3185c-5000-7934-8648-af1dd0b252c0','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"What is your name?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}}',X'B2A2084F980F08BD1DCCB18407339FF01B0CD240083208BF0947449B9408EA30',X'B3E7FA1AECFE28934704256FA230A1DDD998505BF073F1F9C0AA79F1D5E21C83');
INSERT INTO "history" VALUES(30,'01a3185c-5000-706a-8fa6-0ce572ae6c53','execution_cancelled',NULL,'interaction_required','cancelled','ada','enough',1800000000000,NULL,NULL,X'2AED4FD6B8CD4C734B715C94325AC14799778FBB7FE8551B6D8723AC3C16364A');
INSERT INTO "history" VALUES(31,'01a3185c-5000-706a-8fa6-0ce572ae6c53','interaction_withdrawn','01a3185c-5000-7934-8648-af1dd0b252c0','cancelled','cancelled','ada','execution cancelled',1800000000000,NULL,NULL,X'74969058D1611F9AE5636F504CAEC3CBE02943A9DD6062B377A917BB8E62C9F7');
INSERT INTO "history" VALUES(32,'01a3185c-5000-7454-babe-7dc1954d26ff','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"removed","owner":"ada"}',X'C7BFF33DFC0EBAE8027EAAB6431E505A3A1A947A88924E8FBCF13B466E1B2F08',X'70ABBD27F3A5942E98124255CA93BB349291A3823BB7FF8745084D24506DE268');
INSERT INTO "history" VALUES(33,'01a3185c-5000-7454-babe-7dc1954d26ff','execution_completed',NULL,'running','completed',NULL,NULL,1800000000000,NULL,X'74234E98AFE7498FB5DAF1F36AC2D78ACC339464F950703B8C019892F982B90B',X'14243AB9DB95A9CCB20A4ADFC387FA268971078DA294319E0B5DAD93ECF00550');
INSERT INTO "history" VALUES(34,'01a3185c-5000-7454-babe-7dc1954d26ff','execution_removed',NULL,'completed',NULL,NULL,NULL,1800000000000,NULL,NULL,X'175485ED90EE8E13D69FF3F6C8A942CE63435340CEB28450F96DA06A877D2239');
INSERT INTO "history" VALUES(35,'01a3185c-5000-7b9b-92b2-f490b38682e3','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"paused.refund","owner":"bob"}',X'3E0A647811ECDA1195E43708FB959766D802AAC9CAF32228240D7F3F94ABF1A6',X'A87D40447D666F50A124DEBFE2453E65583674AC60363E8E79733888415666EE');
INSERT INTO "history" VALUES(36,'01a3185c-5000-7ade-9712-600c9fff8cc2','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"paused.parallel","owner":"bob"}',X'15C6885A988EFE98A310031367D9D5A3D52CE7B77710C9A6C1320AA181BCCF8F',X'E368A093AD907380977EDE0D6F17ED221856C2C234FEE95DBAF7BA91A61AEFC6');
INSERT INTO "history" VALUES(37,'01a3185c-5000-7ade-9712-600c9fff8cc2','interaction_asked','01a3185c-5000-7167-9a24-ee9e43c38cf6','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"Left?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true},"position":"1"}',X'6A4BAB402820F861B17C3D327688ACC93729C9C7C68F74AC276FFD3AAA5ECF02',X'F3D612D5BB53BB1A1281B1064DC5F23BC1BED8917DA0F473F11D22DE69FEA6AC');
INSERT INTO "history" VALUES(38,'01a3185c-5000-7ade-9712-600c9fff8cc2','interaction_asked','01a3185c-5000-7e2c-a0f9-14c728a3b090','interaction_required','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"Right?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true},"position":"2"}',X'942642E8F696F94D9B455CD009B17A638CF52ABB6EC91E23BAE1BD647F27105F',X'04B7AB1D5D4287F6C5EA472B2E385E1313B11CFA598108B4C95F7B29E47453AF');
INSERT INTO "history" VALUES(39,'01a3185c-5000-777e-bf97-beda6e09b184','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"paused.asleep","owner":"bob"}',X'75A0ABB8EB496D040890B74002208499AD8F36AD1C1FA888F72740A2D422B7ED',X'516FC1BCACE8428326B0BE7F8C7BB338ECEDD1E3DCD2F635E81FE5847C0B4693');
INSERT INTO "history" VALUES(40,'01a3185c-5000-7b9b-92b2-f490b38682e3','interaction_asked','01a3185c-5000-7d51-bfeb-303dc9351b3b','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"Refund it?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true},"position":"2"}',X'EBB5F34B923B39773074CC1E8966AD951D5F65006132BEF32BC12D33A8DE7B4A',X'6403B653AF3E31174AB3466EA479688814D1F6A203E8FCB97A80FCCD52959A7A');
INSERT INTO "history" VALUES(41,'01a3185c-5000-7b9b-92b2-f490b38682e3','interaction_answered','01a3185c-5000-7d51-bfeb-303dc9351b3b','interaction_required','running',NULL,NULL,1800000000000,'{"response":{"type":"text","text":"Yes"}}',X'81BB75A9163C9087E6BAA956B06414EBD4EB2C4ECB044A9CF2DFD94A04C683CC',X'E8C4E54A186DBC0AEE63E4D1E9301598F44BEEAB43087C44B9246A447212D020');
INSERT INTO "history" VALUES(42,'01a3185c-5000-7b9b-92b2-f490b38682e3','emitted',NULL,'running','running',NULL,NULL,1800000000000,'{"position":"3"}',X'8E966E08AF0AD169199A6805424E8A25F7977756101CDA707EEC502C5AF1879A',X'F8EBA3EA3C2D454F299C102B3E7EE688EB42B6C8365E8DFD3134CC0E5C2ED986');
INSERT INTO "history" VALUES(43,'01a3185c-5000-7b9b-92b2-f490b38682e3','notified',NULL,'running','running',NULL,NULL,1800000000000,'{"position":"4"}',X'A02A51D324EA523DFB1B227D5E524BF638BBB1925F0F372479388839BE4C4518',X'C9E3E38F6A704050FA7A0B0C3B17E992135EAC18A650FD10A3EF1333713FA916');
INSERT INTO "history" VALUES(44,'01a3185c-5000-7b9b-92b2-f490b38682e3','interaction_asked','01a3185c-5000-7d45-ba21-bc336a4b14a6','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"Why?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true},"assignees":["ada","group:finance"],"four_eyes":true,"position":"5"}',X'7E7FD0D1D1EBF5E5356217776A9FE21C26AA685FEEC0FA56099AF9B8502FCDAB',X'390140DCD137CB4E34F5A9D94BA2A7D36BF8DF20DA75AF50594EA2B7A9B93BA8');
INSERT INTO "history" VALUES(45,'01a3185c-5000-7ade-9712-600c9fff8cc2','interaction_answered','01a3185c-5000-7167-9a24-ee9e43c38cf6','interaction_required','interaction_required',NULL,NULL,1800000000000,'{"response":{"type":"text","text":"L"}}',X'8F4A8C8A905145A1AB51E1CFEA8B71FB86497C134A2E1543917480233CAA0B4F',X'EE011BF604C42A929B74A165681841E902338CC86A1256AA8417EAEC5F724441');
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
INSERT INTO "interactions" VALUES(1,2,'01a3185c-5000-7a03-92ca-804e117130e7','pending',3,'{"text":"What is your name?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(2,3,'01a3185c-5000-7534-bf8e-5a596a3ce125','pending',5,'{"text":"The report is ready.","timeout":null,"error":null,"input_type":"notification"}',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(3,4,'01a3185c-5000-7027-af8d-bad045798aed','pending',7,'{"text":"Go on?","timeout":null,"error":null,"input_type":"binary_choice","options":[{"id":"yes","label":"Yes","value":true},{"id":"no","label":"No","value":false}]}',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(4,5,'01a3185c-5000-7dd1-8dad-657e0a224dcd','pending',9,'{"text":"How?","timeout":null,"error":null,"options":[{"id":"mail","label":"E-mail","value":"mail","description":"default"},{"id":"call","label":"Call","value":"call","description":"default"}],"input_type":"radio"}',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(5,6,'01a3185c-5000-7425-9c7f-5a7b7202be1d','pending',11,'{"text":"How?","timeout":null,"error":null,"options":[{"id":"mail","label":"E-mail","value":"mail","description":"default"},{"id":"call","label":"Call","value":"call","description":"default"}],"input_type":"checkbox"}',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(6,7,'01a3185c-5000-7433-bbad-bf26586bcb97','pending',13,'{"text":"How?","timeout":null,"error":null,"options":[{"id":"mail","label":"E-mail","value":"mail","description":"default"},{"id":"call","label":"Call","value":"call","description":"default"}],"input_type":"dropdown"}',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(7,8,'first','answered',15,'{"text":"What is your name?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}',1800000000000,NULL,1800000000000,'{"type":"text","text":"Ada"}','grace',NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(8,8,'second','pending',16,'{"text":"Go on?","timeout":null,"error":null,"input_type":"binary_choice","options":[{"id":"yes","label":"Yes","value":true},{"id":"no","label":"No","value":false}]}',1800000000000,1807776000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(9,13,'01a3185c-5000-7934-8648-af1dd0b252c0','withdrawn',29,'{"text":"What is your name?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}',1800000000000,NULL,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(10,15,'01a3185c-5000-7167-9a24-ee9e43c38cf6','answered',37,'{"text":"Left?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}',1800000000000,1807776000000,1800000000000,'{"type":"text","text":"L"}',NULL,NULL,NULL,'fail',NULL);
INSERT INTO "interactions" VALUES(11,15,'01a3185c-5000-7e2c-a0f9-14c728a3b090','pending',38,'{"text":"Right?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(12,14,'01a3185c-5000-7d51-bfeb-303dc9351b3b','answered',40,'{"text":"Refund it?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}',1800000000000,NULL,1800000000000,'{"type":"text","text":"Yes"}',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(13,14,'01a3185c-5000-7d45-ba21-bc336a4b14a6','pending',44,'{"text":"Why?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}',1800000000000,NULL,NULL,NULL,NULL,'["ada","group:finance"]',1,NULL,NULL);
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
INSERT INTO "journal" VALUES(14,'2','ask','text','bc47e1cc074fbaa6','"01a3185c-5000-7d51-bfeb-303dc9351b3b"',1800000000000,NULL,NULL,2,1);
INSERT INTO "journal" VALUES(14,'3','emit','data','811e41e444d0645d','{"price":8}',1800000000000,NULL,41,3,2);
INSERT INTO "journal" VALUES(14,'4','notify','notification','7c202b7df096b645','{"text":"Half of it is done.","timeout":null,"error":null,"input_type":"notification"}',1800000000000,NULL,42,4,3);
INSERT INTO "journal" VALUES(14,'5','ask','text','dc55d7455cfcb19f','"01a3185c-5000-7d45-ba21-bc336a4b14a6"',1800000000000,NULL,NULL,NULL,4);
INSERT INTO "journal" VALUES(15,'1','ask','text','46166b3303042d80','"01a3185c-5000-7167-9a24-ee9e43c38cf6"',1800000000000,NULL,NULL,NULL,0);
INSERT INTO "journal" VALUES(15,'2','ask','text','82e36f12e8efca86','"01a3185c-5000-7e2c-a0f9-14c728a3b090"',1800000000000,NULL,NULL,NULL,0);
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
CREATE UNIQUE INDEX runs_start_is_unique ON runs (start_sha256) WHERE start_sha256 IS NOT NULL;
CREATE INDEX executions_asleep ON executions (wake_at) WHERE wake_at IS NOT NULL;
CREATE INDEX executions_claimed ON executions (lease) WHERE ready IS NOT NULL AND lease IS NOT NULL;
CREATE INDEX executions_ready ON executions ("key") WHERE ready = 1 AND lease IS NULL;
CREATE INDEX executions_with_a_problem ON executions ("key") WHERE problem IS NOT NULL;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('leases',1);
