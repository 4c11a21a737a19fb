CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0018');
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
INSERT INTO "consents" VALUES(1,8,'01a3185c-5000-7179-9d09-8c74c7cf1224','pending',18,'https://provider.example/authorize','state 1',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "consents" VALUES(2,9,'01a3185c-5000-7cfb-936c-82f96b2f8dd7','pending',21,'https://provider.example/authorize','state 2',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
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
INSERT INTO "executions" VALUES(1,'01a3185c-5000-7ce1-be69-73b678036589','running',1,0,'running','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(2,'01a3185c-5000-72ad-a72c-7cc34342fa68','interaction_required',2,1,'asks text','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(3,'01a3185c-5000-7383-9748-470e21e1904c','interaction_required',2,1,'asks notification','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(4,'01a3185c-5000-7586-9d05-342f36b5e921','interaction_required',2,1,'asks binary_choice','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(5,'01a3185c-5000-70ab-abc0-719535fd5b5b','interaction_required',2,1,'asks radio','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(6,'01a3185c-5000-71f3-a2b4-08fcd5a258e0','interaction_required',2,1,'asks checkbox','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(7,'01a3185c-5000-767d-a224-fffebc6feb2f','interaction_required',2,1,'asks dropdown','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(8,'01a3185c-5000-7444-9c7b-95ebb3ed55b1','interaction_required',5,2,'asks several','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(9,'01a3185c-5000-7f74-9c2a-c78847210b68','oauth_required',2,1,'consents','ada',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(10,'01a3185c-5000-77bc-9c04-a6fc1880b68f','completed',2,0,'completed','ada',NULL,1800000000000,1800000000000,1800000600000,NULL,'{"price":[1,2.5,null,"é"]}',NULL,NULL,NULL,0,0,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(11,'01a3185c-5000-7282-add0-b274c9a0e543','completed',2,0,'held','ada',NULL,1800000000000,1800000000000,1800000600000,'an audit','"held"',NULL,NULL,NULL,0,0,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(12,'01a3185c-5000-7b52-b889-8d0240fec158','failed',2,0,'failed','ada',NULL,1800000000000,1800000000000,NULL,NULL,NULL,'It failed.','planned',NULL,0,0,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(13,'01a3185c-5000-7d14-9230-c0955e61162f','cancelled',3,0,'cancelled','ada',NULL,1800000000000,1800000000000,1800000600000,NULL,NULL,NULL,NULL,NULL,0,0,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(14,'01a3185c-5000-7bd5-acca-d52a9d7d5893','interaction_required',4,1,'paused.refund','bob',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,1,1,0,NULL,NULL);
INSERT INTO "executions" VALUES(15,'01a3185c-5000-7130-81fa-17e3ff506158','interaction_required',4,1,'paused.parallel','bob',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,1,1,0,NULL,NULL);
INSERT INTO "executions" VALUES(16,'01a3185c-5000-7906-9c3f-0a5d4fcf21ac','running',1,0,'paused.asleep','bob',1,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,1,0,0,NULL,NULL);
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
INSERT INTO "history" VALUES(2,'01a3185c-5000-7ce1-be69-73b678036589','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"running","owner":"ada"}',X'29EAE50C4B0E449B87519C9BF4AC8D61082DDD9B81EA99DC3C7B4624EBD3FD50',X'7EE4CF28F08503DDEDF66E446A8EA0EA3257BE600CA5CE892A6A61B902DA422B');
INSERT INTO "history" VALUES(3,'01a3185c-5000-72ad-a72c-7cc34342fa68','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"asks text","owner":"ada"}',X'0FE8C861B445585011CA93295184F78CEB61DD212A0CF608B2B5D7CE64E7493E',X'1A5D5957A74AB375D173D101BBFF885532D0C19D6BF3ACEF15C4D820220536EF');
INSERT INTO "history" VALUES(4,'01a3185c-5000-72ad-a72c-7cc34342fa68','interaction_asked','01a3185c-5000-7551-b283-f002a63f5883','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"What is your name?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}}',X'B2A2084F980F08BD1DCCB18407339FF01B0CD240083208BF0947449B9408EA30',X'EF88C9BDDFBAA12D70BC53A5470743B2938860E419AE917A1F869F8CC3F0D4EF');
INSERT INTO "history" VALUES(5,'01a3185c-5000-7383-9748-470e21e1904c','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"asks notification","owner":"ada"}',X'0B33ED6E5C98A06597EC3F5220E20E8B637A6B0917EB3BB341A96BE4E7C71DEF',X'522D717BD143E5A047D78C26F8937FC3267618C06540BEECBAD53C3AAD6C7A34');
INSERT INTO "history" VALUES(6,'01a3185c-5000-7383-9748-470e21e1904c','interaction_asked','01a3185c-5000-7238-9fc9-3d6cd4816eb2','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"The report is ready.","timeout":null,"error":null,"input_type":"notification"}}',X'5511A5E12E64889D122C8EEAC74EDEE5218053B28A27B5BD7EEEA876079EF9FD',X'2EE183B7A1733ACA83A02F1DBE42BF03BC7554F844657853391118C6468B5632');
INSERT INTO "history" VALUES(7,'01a3185c-5000-7586-9d05-342f36b5e921','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"asks binary_choice","owner":"ada"}',X'90C02E3B32BCC1D07CE2005F65A9F5242E74618890ADF8E03152F61639EE903D',X'9548F533FEB0B9785D5244F1E57C1B77240CF95B89391295212D385F972AFB09');
INSERT INTO "history" VALUES(8,'01a3185c-5000-7586-9d05-342f36b5e921','interaction_asked','01a3185c-5000-7c1e-a0b3-13fc895766b2','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"Go on?","timeout":null,"error":null,"input_type":"binary_choice","options":[{"id":"yes","label":"Yes","value":true},{"id":"no","label":"No","value":false}]}}',X'395DA07F90CAE6D0BFEEFB7E987EC9B068E12296FE04FCF8FAE3D732CD74F36A',X'F7EFAA6E4E173971EA257035A5D633AFD24F47C92BC86AB6BB63BA38209F4575');
INSERT INTO "history" VALUES(9,'01a3185c-5000-70ab-abc0-719535fd5b5b','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"asks radio","owner":"ada"}',X'0ECBD5EDAF9E2D9D8837A3634323D11334188766C2B8A3589E288E7AA45DE338',X'FDAAD4F83348BDE2EC80FF09EB9B633C31DBAF4905DA2F082BD0153D8401D667');
INSERT INTO "history" VALUES(10,'01a3185c-5000-70ab-abc0-719535fd5b5b','interaction_asked','01a3185c-5000-7834-9c69-e72e60d7aa75','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"How?","timeout":null,"error":null,"options":[{"id":"mail","label":"E-mail","value":"mail","description":"default"},{"id":"call","label":"Call","value":"call","description":"default"}],"input_type":"radio"}}',X'1B06EE8B790244DEE058959CC31908AD7A7433EE3E5B9BC19A11929C3BE666BD',X'71AD72B936B4F248D07D564533E97C13FE213C434E4DF5D0FAC525CE59A286C3');
INSERT INTO "history" VALUES(11,'01a3185c-5000-71f3-a2b4-08fcd5a258e0','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"asks checkbox","owner":"ada"}',X'C1F4F741FF01C5AC17D06D7280E47C78EEB0B6355646C2521C851D1D6A3EB328',X'A0A24E93A7831539235E8CC1B5DA70F7FEB2E07F531A700384252E8E061B8B1A');
INSERT INTO "history" VALUES(12,'01a3185c-5000-71f3-a2b4-08fcd5a258e0','interaction_asked','01a3185c-5000-7435-8a0b-dbd9da4114d1','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"How?","timeout":null,"error":null,"options":[{"id":"mail","label":"E-mail","value":"mail","description":"default"},{"id":"call","label":"Call","value":"call","description":"default"}],"input_type":"checkbox"}}',X'BC3F1CB255202DF93FC26E572CCF9A880456A5EE1F600428F4592B3D1A9B18D8',X'1073699A51CA2133979A3A6AAB2345FD8D5A0567052422F8629B31F5EE854284');
INSERT INTO "history" VALUES(13,'01a3185c-5000-767d-a224-fffebc6feb2f','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"asks dropdown","owner":"ada"}',X'064B9D1D7A93D13429733A0F15458E218DB81FDE8E5D833CAE848343275B137C',X'B2AE7F1825513E9646E73968E45D1DEC7858B336F49E70C3ACEF423C8B44F56E');
INSERT INTO "history" VALUES(14,'01a3185c-5000-767d-a224-fffebc6feb2f','interaction_asked','01a3185c-5000-76af-b092-fb20ef67c6cd','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"How?","timeout":null,"error":null,"options":[{"id":"mail","label":"E-mail","value":"mail","description":"default"},{"id":"call","label":"Call","value":"call","description":"default"}],"input_type":"dropdown"}}',X'90D6E07365CF6693622F1070C4801EF320C883CA9B22D30D4621BDAC9E0784F9',X'A097EB0741F452D5260E7BFE1DE321AD7AE97DC8EBA881F0195EBDD96F98DCC7');
INSERT INTO "history" VALUES(15,'01a3185c-5000-7444-9c7b-95ebb3ed55b1','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"asks several","owner":"ada"}',X'B2E94E22E22893AC3F80125EA659536BCC8E8AD85B509E406F8F737512194D0D',X'77C5A3EFB5BD5C131118F9626C230F2F7E654E38809882C335C69B7B9B8E054B');
INSERT INTO "history" VALUES(16,'01a3185c-5000-7444-9c7b-95ebb3ed55b1','interaction_asked','first','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"What is your name?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}}',X'B2A2084F980F08BD1DCCB18407339FF01B0CD240083208BF0947449B9408EA30',X'F78E658B181824F56F8BEA91E5E0E265DF9784E48304C44266F92D228C560F52');
INSERT INTO "history" VALUES(17,'01a3185c-5000-7444-9c7b-95ebb3ed55b1','interaction_asked','second','interaction_required','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"Go on?","timeout":null,"error":null,"input_type":"binary_choice","options":[{"id":"yes","label":"Yes","value":true},{"id":"no","label":"No","value":false}]},"timeout_ms":7776000000}',X'C311F8CF4291C229707EB40B5CD468C419A4FB8A257077573369329BAFAD892B',X'869C6EBCB627ED7F8E3C3C290E151124EA478794C583E20CEE47AF7415AB8959');
INSERT INTO "history" VALUES(18,'01a3185c-5000-7444-9c7b-95ebb3ed55b1','consent_asked','01a3185c-5000-7179-9d09-8c74c7cf1224','interaction_required','interaction_required',NULL,NULL,1800000000000,NULL,NULL,X'46ECA6B6D36EC4D8A55E911A9461CF3EB0859BB5D7B48CEA6518FE76B5E9C98C');
INSERT INTO "history" VALUES(19,'01a3185c-5000-7444-9c7b-95ebb3ed55b1','interaction_answered','first','interaction_required','interaction_required','grace',NULL,1800000000000,'{"response":{"type":"text","text":"Ada"}}',X'D9C0036DED1D58CC269160D399D37E08BD20369D2E0CC435C24C823554B8AE52',X'A6AAC79FCE47AA12D26DC20F3C6D2C979BD6BD2573888CC0058662A55C16DAEB');
INSERT INTO "history" VALUES(20,'01a3185c-5000-7f74-9c2a-c78847210b68','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"consents","owner":"ada"}',X'5E344D88E4C16D07E52220D429155F4B975BE51BE4E190C0BFF16857769DCEE4',X'A45793F0AFACBA0E170AE37450AA9A0A8288CAD7FF3427D54C9ADA973DFE931C');
INSERT INTO "history" VALUES(21,'01a3185c-5000-7f74-9c2a-c78847210b68','consent_asked','01a3185c-5000-7cfb-936c-82f96b2f8dd7','running','oauth_required',NULL,NULL,1800000000000,NULL,NULL,X'54286E7825510474FBFA40D8427A2ABECF8A377C4A62DF9F4C68A933D3DD4FDB');
INSERT INTO "history" VALUES(22,'01a3185c-5000-77bc-9c04-a6fc1880b68f','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"completed","owner":"ada"}',X'621AA87ED460C0E333DB418353863ED7613B0BB97EB3B9D7421C5CABC0E110A4',X'D2D6534F31433180ED4414E9C128CE6A99AED02BD75617ED66E3B39CF1211B48');
INSERT INTO "history" VALUES(23,'01a3185c-5000-77bc-9c04-a6fc1880b68f','execution_completed',NULL,'running','completed',NULL,NULL,1800000000000,NULL,X'A41F7FAF3D298A56DD8960EDDAA3EC31FF033750D7FD8147CFFAC12AC44C035F',X'61B1D40E76335611BEA96F521B352AD80CE1DF125CAD7DA4DFEABCAF8B105239');
INSERT INTO "history" VALUES(24,'01a3185c-5000-7282-add0-b274c9a0e543','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"held","owner":"ada"}',X'5EE31D19A260912F3D1356AB82EE55ADFA60D8231B7E5FE029ADF2EBB909A76D',X'46C76C8D4A3CFC3C6A64F28200236F62983B7F5BBC95838A96C1BC78EC05638D');
INSERT INTO "history" VALUES(25,'01a3185c-5000-7282-add0-b274c9a0e543','execution_completed',NULL,'running','completed',NULL,NULL,1800000000000,NULL,X'FCD86AC6B458C22662F923D21C3E8AE570DEE43713FDAEDC2A1E3BA47F95992B',X'444B6798EBC9EBE6E4B65DD954F6D19350FC09E7975658BE7CC0B0EF65758C8A');
INSERT INTO "history" VALUES(26,'01a3185c-5000-7282-add0-b274c9a0e543','execution_held',NULL,'completed','completed','otto','an audit',1800000000000,NULL,NULL,X'A7798558227777A70D13D803D7E40C1793D2B23D77071DD24851CAB100624BB5');
INSERT INTO "history" VALUES(27,'01a3185c-5000-7b52-b889-8d0240fec158','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"failed","owner":"ada"}',X'721FEA088894166B82BCA4116D5A003892F6137D57ACCB49A5BDC19B458AB095',X'497360F04AB6D5C77BDA36534E45818C2EC55EBFF421700387655295454B6AB8');
INSERT INTO "history" VALUES(28,'01a3185c-5000-7b52-b889-8d0240fec158','execution_failed',NULL,'running','failed',NULL,NULL,1800000000000,'{"error":"It failed.","code":"planned"}',X'8E98F618CB5674EC65A73EE16E02BD1B3E560594CA6543CC2B8477FB4BE2DB99',X'2A9C947AA9F84B2F8B1641E9A855E0B5DF9DD9949A929758F5E58DA115D7C689');
INSERT INTO "history" VALUES(29,'01a3185c-5000-7d14-9230-c0955e61162f','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"cancelled","owner":"ada"}',X'3540840F0B8001DE8FE4E27B702608EF39AEEDE55FCB3EF99D47A155FC434718',X'2F85930F6C0362B64DF0B66486331727F43D3E5AC600DC33F12995240313D912');
INSERT INTO "history" VALUES(30,'01a3185c-5000-7d14-9230-c0955e61162f','interaction_asked','01a3185c-5000-7fa3-8510-acdb7480f817','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"What is your name?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}}',X'B2A2084F980F08BD1DCCB18407339FF01B0CD240083208BF0947449B9408EA30',X'39D1B639140163C5145DD81C80E90DF9A03C9196B7B992B1098C28FF1F7752FB');
INSERT INTO "history" VALUES(31,'01a3185c-5000-7d14-9230-c0955e61162f','execution_cancelled',NULL,'interaction_required','cancelled','ada','enough',1800000000000,NULL,NULL,X'D774D0AA5AFA7CE2D08DCE2CC61A8923E09E2C9720B7E073FE7629ECF8519F8D');
INSERT INTO "history" VALUES(32,'01a3185c-5000-7d14-9230-c0955e61162f','interaction_withdrawn','01a3185c-5000-7fa3-8510-acdb7480f817','cancelled','cancelled','ada','execution cancelled',1800000000000,NULL,NULL,X'13A0023566CDF1BC201A8238170176874AFC648B70E5C40F635A3FEE78753B24');
INSERT INTO "history" VALUES(33,'01a3185c-5000-75fd-8afd-3b8c8f9f7e86','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"removed","owner":"ada"}',X'C7BFF33DFC0EBAE8027EAAB6431E505A3A1A947A88924E8FBCF13B466E1B2F08',X'C0D86F7C186DFE81305273BFA7969B1CCF937E48E6C53CB6FD56132E6FF2C948');
INSERT INTO "history" VALUES(34,'01a3185c-5000-75fd-8afd-3b8c8f9f7e86','execution_completed',NULL,'running','completed',NULL,NULL,1800000000000,NULL,X'74234E98AFE7498FB5DAF1F36AC2D78ACC339464F950703B8C019892F982B90B',X'69C90CB9F822B3F030F3490DB9D43DE82781FAE0C6C5DC757F084FD341692748');
INSERT INTO "history" VALUES(35,'01a3185c-5000-75fd-8afd-3b8c8f9f7e86','execution_removed',NULL,'completed',NULL,NULL,NULL,1800000000000,NULL,NULL,X'1E2FE2DA94090E4756594DD30909AF406382ADD29B83F2ED382FB7AA6A325A44');
INSERT INTO "history" VALUES(36,'01a3185c-5000-7bd5-acca-d52a9d7d5893','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"paused.refund","owner":"bob","input_sha256":"97e493bcc7796df57cec3c25bd4d8bfb96b8b5a60f8c9433b42d04a853800459"}',X'BF28B6891E906254BCC802C3E3E16131BB40B8E37BC0DF35B985B304EB7C11CE',X'5E99E25E521395CB40099DB1F81C79D16C27DDB0862E7E4530D73B5D24683723');
INSERT INTO "history" VALUES(37,'01a3185c-5000-7130-81fa-17e3ff506158','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"paused.parallel","owner":"bob","input_sha256":"97e493bcc7796df57cec3c25bd4d8bfb96b8b5a60f8c9433b42d04a853800459"}',X'0CB27C73867AC564CDC4980A0B14D21264F0D6582C0DA84CE04C81E5CC1CDFD5',X'E93309849595530E303A2CF631E9B7AF4DAAD5F9880036D333A48FF86561CC1D');
INSERT INTO "history" VALUES(38,'01a3185c-5000-7130-81fa-17e3ff506158','interaction_asked','01a3185c-5000-7479-8c72-06a54afcdaa4','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"Left?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true},"position":"1","timeout_ms":7776000000,"on_deadline":"fail"}',X'DA50271DC8592D82EBFAD01C2B566B850547D67BE57BC5B3E5015BFA4994CB82',X'B41206A72B36D0A21626FABB5CA97E90CCE342A01F8D0D4790E7F3AB2A023D88');
INSERT INTO "history" VALUES(39,'01a3185c-5000-7130-81fa-17e3ff506158','interaction_asked','01a3185c-5000-7d14-8af5-a277aa021138','interaction_required','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"Right?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true},"position":"2"}',X'942642E8F696F94D9B455CD009B17A638CF52ABB6EC91E23BAE1BD647F27105F',X'B752E2E8021BE36B2190EF95188C244F31293C9FBB0607109057AA9CA684C2C0');
INSERT INTO "history" VALUES(40,'01a3185c-5000-7906-9c3f-0a5d4fcf21ac','execution_created',NULL,NULL,'running',NULL,NULL,1800000000000,'{"workflow":"paused.asleep","owner":"bob","input_sha256":"97e493bcc7796df57cec3c25bd4d8bfb96b8b5a60f8c9433b42d04a853800459"}',X'1D7FFC46855FCB9AEE3FBE18954C8450EF793FD37E0F3318AE10D9BD23FAE1CC',X'DB2DD892F7E82E077AB5165C68DDFC83536173AA6433F38902845C60C31289E5');
INSERT INTO "history" VALUES(41,'01a3185c-5000-7bd5-acca-d52a9d7d5893','interaction_asked','01a3185c-5000-79c9-a8e0-13d4fc8e98f4','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"Refund it?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true},"position":"2"}',X'EBB5F34B923B39773074CC1E8966AD951D5F65006132BEF32BC12D33A8DE7B4A',X'83F22F98D7F4A4DE2557432C7B8A5926AE969A5139CBECAAACECD8B9C08751E3');
INSERT INTO "history" VALUES(42,'01a3185c-5000-7bd5-acca-d52a9d7d5893','interaction_answered','01a3185c-5000-79c9-a8e0-13d4fc8e98f4','interaction_required','running',NULL,NULL,1800000000000,'{"response":{"type":"text","text":"Yes"}}',X'81BB75A9163C9087E6BAA956B06414EBD4EB2C4ECB044A9CF2DFD94A04C683CC',X'0483BAF90C26BBC27828BF1F35D98C7FA00FD4B5A6230FEDE043E3D489D5FC8C');
INSERT INTO "history" VALUES(43,'01a3185c-5000-7bd5-acca-d52a9d7d5893','emitted',NULL,'running','running',NULL,NULL,1800000000000,'{"position":"3","data_sha256":"cd0b7bb60b8ff526a4f6cccc16c654295ed3a79ee779bc2272f445cfb72f9419"}',X'75BB028B23D7EAAA284A1C0D4129498A61AEDE57E6E90E0A8ED862E4A51759BD',X'945E27F0484256D5BF740132ECFC8B7772083EEE92D28BBC0DED8D27EF554712');
INSERT INTO "history" VALUES(44,'01a3185c-5000-7bd5-acca-d52a9d7d5893','notified',NULL,'running','running',NULL,NULL,1800000000000,'{"position":"4","prompt_sha256":"9b03bd2a90018d591d30a0033f77c5a54e3862727d65c63d767de71bea756ec9"}',X'B55570BCDBEAB53D636E1C65E98138A69D429AB973FF2086E21B4A00335DEB1A',X'E79D67ECFA29A157C9B89364072BAFFF83057850747CA0B268752A3C1B40B245');
INSERT INTO "history" VALUES(45,'01a3185c-5000-7bd5-acca-d52a9d7d5893','interaction_asked','01a3185c-5000-70a7-9360-0d75d0becf26','running','interaction_required',NULL,NULL,1800000000000,'{"prompt":{"text":"Why?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true},"assignees":["ada","group:finance"],"four_eyes":true,"position":"5"}',X'7E7FD0D1D1EBF5E5356217776A9FE21C26AA685FEEC0FA56099AF9B8502FCDAB',X'193FB811068C522FB4923C43A93BC410FDA83E12CAA8E3EC7AF8E948B5DE2926');
INSERT INTO "history" VALUES(46,'01a3185c-5000-7130-81fa-17e3ff506158','interaction_answered','01a3185c-5000-7479-8c72-06a54afcdaa4','interaction_required','interaction_required',NULL,NULL,1800000000000,'{"response":{"type":"text","text":"L"}}',X'8F4A8C8A905145A1AB51E1CFEA8B71FB86497C134A2E1543917480233CAA0B4F',X'C8BD19227BD5229257C453102D40CE3FFC273FA073B900432DF99117C73B94EE');
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
INSERT INTO "interactions" VALUES(1,2,'01a3185c-5000-7551-b283-f002a63f5883','pending',4,'{"text":"What is your name?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(2,3,'01a3185c-5000-7238-9fc9-3d6cd4816eb2','pending',6,'{"text":"The report is ready.","timeout":null,"error":null,"input_type":"notification"}',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(3,4,'01a3185c-5000-7c1e-a0b3-13fc895766b2','pending',8,'{"text":"Go on?","timeout":null,"error":null,"input_type":"binary_choice","options":[{"id":"yes","label":"Yes","value":true},{"id":"no","label":"No","value":false}]}',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(4,5,'01a3185c-5000-7834-9c69-e72e60d7aa75','pending',10,'{"text":"How?","timeout":null,"error":null,"options":[{"id":"mail","label":"E-mail","value":"mail","description":"default"},{"id":"call","label":"Call","value":"call","description":"default"}],"input_type":"radio"}',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(5,6,'01a3185c-5000-7435-8a0b-dbd9da4114d1','pending',12,'{"text":"How?","timeout":null,"error":null,"options":[{"id":"mail","label":"E-mail","value":"mail","description":"default"},{"id":"call","label":"Call","value":"call","description":"default"}],"input_type":"checkbox"}',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(6,7,'01a3185c-5000-76af-b092-fb20ef67c6cd','pending',14,'{"text":"How?","timeout":null,"error":null,"options":[{"id":"mail","label":"E-mail","value":"mail","description":"default"},{"id":"call","label":"Call","value":"call","description":"default"}],"input_type":"dropdown"}',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(7,8,'first','answered',16,'{"text":"What is your name?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}',1800000000000,NULL,1800000000000,'{"type":"text","text":"Ada"}','grace',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(8,8,'second','pending',17,'{"text":"Go on?","timeout":null,"error":null,"input_type":"binary_choice","options":[{"id":"yes","label":"Yes","value":true},{"id":"no","label":"No","value":false}]}',1800000000000,1807776000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(9,13,'01a3185c-5000-7fa3-8510-acdb7480f817','withdrawn',30,'{"text":"What is your name?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}',1800000000000,NULL,1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(10,15,'01a3185c-5000-7479-8c72-06a54afcdaa4','answered',38,'{"text":"Left?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}',1800000000000,1807776000000,1800000000000,'{"type":"text","text":"L"}',NULL,NULL,NULL,'fail',NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(11,15,'01a3185c-5000-7d14-8af5-a277aa021138','pending',39,'{"text":"Right?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}',1800000000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(12,14,'01a3185c-5000-79c9-a8e0-13d4fc8e98f4','answered',41,'{"text":"Refund it?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}',1800000000000,NULL,1800000000000,'{"type":"text","text":"Yes"}',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "interactions" VALUES(13,14,'01a3185c-5000-70a7-9360-0d75d0becf26','pending',45,'{"text":"Why?","timeout":null,"error":null,"input_type":"text","placeholder":null,"required":true}',1800000000000,NULL,NULL,NULL,NULL,'["ada","group:finance"]',1,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
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
INSERT INTO "journal" VALUES(14,'2','ask','text','bc47e1cc074fbaa6','"01a3185c-5000-79c9-a8e0-13d4fc8e98f4"',1800000000000,NULL,NULL,2,1);
INSERT INTO "journal" VALUES(14,'3','emit','data','811e41e444d0645d','{"price":8}',1800000000000,NULL,42,3,2);
INSERT INTO "journal" VALUES(14,'4','notify','notification','7c202b7df096b645','{"text":"Half of it is done.","timeout":null,"error":null,"input_type":"notification"}',1800000000000,NULL,43,4,3);
INSERT INTO "journal" VALUES(14,'5','ask','text','dc55d7455cfcb19f','"01a3185c-5000-70a7-9360-0d75d0becf26"',1800000000000,NULL,NULL,NULL,4);
INSERT INTO "journal" VALUES(15,'1','ask','text','46166b3303042d80','"01a3185c-5000-7479-8c72-06a54afcdaa4"',1800000000000,NULL,NULL,NULL,0);
INSERT INTO "journal" VALUES(15,'2','ask','text','82e36f12e8efca86','"01a3185c-5000-7d14-8af5-a277aa021138"',1800000000000,NULL,NULL,NULL,0);
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
CREATE TABLE mail_addresses (
    person TEXT NOT NULL,
    address TEXT NOT NULL,
    provider TEXT NOT NULL,
    salt TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    PRIMARY KEY (person)
)
 WITHOUT ROWID;
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
    problem TEXT, opens_at INTEGER,
    PRIMARY KEY (id),
    CONSTRAINT outbox_status_is_known CHECK ((status = 'pending' OR status = 'delivered' OR status = 'moot' OR status = 'given_up' OR status = 'dropped')),
    CONSTRAINT outbox_ended_at_means_ended CHECK ((status = 'pending') = (ended_at IS NULL)),
    FOREIGN KEY(execution_id) REFERENCES executions (id) ON DELETE CASCADE
)
 WITHOUT ROWID;
INSERT INTO "outbox" VALUES('01a3185c-5000-710f-b743-567d6d45487c',41,'questions','office','01a3185c-5000-7bd5-acca-d52a9d7d5893','01a3185c-5000-79c9-a8e0-13d4fc8e98f4',1,NULL,'moot',0,1800000000000,NULL,1800604800000,NULL,1800000000000,NULL,NULL,NULL);
INSERT INTO "outbox" VALUES('01a3185c-5000-7123-9e9f-91f0df1e17bc',17,'questions','office','01a3185c-5000-7444-9c7b-95ebb3ed55b1','second',1,NULL,'pending',0,1800000000000,1800000000000,1800604800000,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "outbox" VALUES('01a3185c-5000-717b-9af6-9bba132f8f36',16,'questions','office','01a3185c-5000-7444-9c7b-95ebb3ed55b1','first',1,NULL,'moot',0,1800000000000,NULL,1800604800000,NULL,1800000000000,NULL,NULL,NULL);
INSERT INTO "outbox" VALUES('01a3185c-5000-71b2-96d6-b58c7449e5ab',25,'questions','office','01a3185c-5000-7282-add0-b274c9a0e543',NULL,0,NULL,'pending',0,1800000000000,1800000000000,1800604800000,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "outbox" VALUES('01a3185c-5000-71ca-a813-9ea00edc76fd',30,'questions','office','01a3185c-5000-7d14-9230-c0955e61162f','01a3185c-5000-7fa3-8510-acdb7480f817',1,NULL,'moot',0,1800000000000,NULL,1800604800000,NULL,1800000000000,NULL,NULL,NULL);
INSERT INTO "outbox" VALUES('01a3185c-5000-72b3-81e6-a4fde185ffd9',6,'questions','office','01a3185c-5000-7383-9748-470e21e1904c','01a3185c-5000-7238-9fc9-3d6cd4816eb2',1,NULL,'pending',0,1800000000000,1800000000000,1800604800000,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "outbox" VALUES('01a3185c-5000-7322-98d5-c096132c9c93',38,'questions','office','01a3185c-5000-7130-81fa-17e3ff506158','01a3185c-5000-7479-8c72-06a54afcdaa4',1,NULL,'moot',0,1800000000000,NULL,1800604800000,NULL,1800000000000,NULL,NULL,NULL);
INSERT INTO "outbox" VALUES('01a3185c-5000-7388-afd5-fc0f183cd538',12,'questions','office','01a3185c-5000-71f3-a2b4-08fcd5a258e0','01a3185c-5000-7435-8a0b-dbd9da4114d1',1,NULL,'pending',0,1800000000000,1800000000000,1800604800000,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "outbox" VALUES('01a3185c-5000-7445-b2fe-aa825f084744',8,'questions','office','01a3185c-5000-7586-9d05-342f36b5e921','01a3185c-5000-7c1e-a0b3-13fc895766b2',1,NULL,'pending',0,1800000000000,1800000000000,1800604800000,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "outbox" VALUES('01a3185c-5000-7494-ba07-23c06573adb6',39,'questions','office','01a3185c-5000-7130-81fa-17e3ff506158','01a3185c-5000-7d14-8af5-a277aa021138',1,NULL,'pending',0,1800000000000,1800000000000,1800604800000,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "outbox" VALUES('01a3185c-5000-764f-aa53-82a9472ca2f5',45,'questions','office','01a3185c-5000-7bd5-acca-d52a9d7d5893','01a3185c-5000-70a7-9360-0d75d0becf26',1,NULL,'pending',0,1800000000000,1800000000000,1800604800000,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "outbox" VALUES('01a3185c-5000-76d2-93c1-81e5c06ab6f8',4,'questions','office','01a3185c-5000-72ad-a72c-7cc34342fa68','01a3185c-5000-7551-b283-f002a63f5883',1,NULL,'pending',0,1800000000000,1800000000000,1800604800000,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "outbox" VALUES('01a3185c-5000-79f5-b1d4-c9ec65af6fc9',14,'questions','office','01a3185c-5000-767d-a224-fffebc6feb2f','01a3185c-5000-76af-b092-fb20ef67c6cd',1,NULL,'pending',0,1800000000000,1800000000000,1800604800000,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "outbox" VALUES('01a3185c-5000-7a13-9635-48203543b15e',23,'questions','office','01a3185c-5000-77bc-9c04-a6fc1880b68f',NULL,0,NULL,'pending',0,1800000000000,1800000000000,1800604800000,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "outbox" VALUES('01a3185c-5000-7ac1-823a-c77b5b858b47',10,'questions','office','01a3185c-5000-70ab-abc0-719535fd5b5b','01a3185c-5000-7834-9c69-e72e60d7aa75',1,NULL,'pending',0,1800000000000,1800000000000,1800604800000,NULL,NULL,NULL,NULL,NULL);
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
CREATE INDEX sessions_of_actor ON sessions (actor);
CREATE INDEX sessions_to_sweep ON sessions (ends_at);
CREATE TRIGGER sessions_rights_stay BEFORE UPDATE OF token_sha256, id, actor, groups, roles, provider, bearer_sha256, created_at, expires_at ON sessions WHEN NEW.token_sha256 IS NOT OLD.token_sha256 OR NEW.id IS NOT OLD.id OR NEW.actor IS NOT OLD.actor OR NEW.groups IS NOT OLD.groups OR NEW.roles IS NOT OLD.roles OR NEW.provider IS NOT OLD.provider OR NEW.bearer_sha256 IS NOT OLD.bearer_sha256 OR NEW.created_at IS NOT OLD.created_at OR NEW.expires_at IS NOT OLD.expires_at BEGIN SELECT RAISE(ABORT, 'what a session began with stays'); END;
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
CREATE TRIGGER interactions_are_assigned AFTER INSERT ON interactions BEGIN INSERT OR IGNORE INTO assignments (name, due, urgency, opened, interaction_key, workflow) VALUES ('', min(coalesce(NEW.due_at, 9223372036854775807), coalesce(NEW.deadline_at, 9223372036854775807)), -coalesce(NEW.priority, (SELECT priority FROM executions WHERE key = NEW.execution_key)), NEW.opened, NEW.key, (SELECT workflow FROM executions WHERE key = NEW.execution_key)); INSERT OR IGNORE INTO assignments (name, due, urgency, opened, interaction_key, workflow) SELECT value, min(coalesce(NEW.due_at, 9223372036854775807), coalesce(NEW.deadline_at, 9223372036854775807)), -coalesce(NEW.priority, (SELECT priority FROM executions WHERE key = NEW.execution_key)), NEW.opened, NEW.key, (SELECT workflow FROM executions WHERE key = NEW.execution_key) FROM json_each(NEW.assignees) WHERE NEW.assignees IS NOT NULL; INSERT OR IGNORE INTO assignments (name, due, urgency, opened, interaction_key, workflow) SELECT owner, min(coalesce(NEW.due_at, 9223372036854775807), coalesce(NEW.deadline_at, 9223372036854775807)), -coalesce(NEW.priority, (SELECT priority FROM executions WHERE key = NEW.execution_key)), NEW.opened, NEW.key, (SELECT workflow FROM executions WHERE key = NEW.execution_key) FROM executions WHERE key = NEW.execution_key AND NEW.assignees IS NULL AND owner IS NOT NULL; END;
CREATE TRIGGER interactions_are_assigned_anew AFTER UPDATE OF assignees ON interactions WHEN NEW.status = 'pending' BEGIN DELETE FROM assignments WHERE name = '' AND due = min(coalesce(OLD.due_at, 9223372036854775807), coalesce(OLD.deadline_at, 9223372036854775807)) AND urgency = -coalesce(OLD.priority, (SELECT priority FROM executions WHERE key = OLD.execution_key)) AND opened = OLD.opened; DELETE FROM assignments WHERE OLD.assignees IS NOT NULL AND name IN (SELECT value FROM json_each(OLD.assignees)) AND due = min(coalesce(OLD.due_at, 9223372036854775807), coalesce(OLD.deadline_at, 9223372036854775807)) AND urgency = -coalesce(OLD.priority, (SELECT priority FROM executions WHERE key = OLD.execution_key)) AND opened = OLD.opened; DELETE FROM assignments WHERE OLD.assignees IS NULL AND name = (SELECT owner FROM executions WHERE key = OLD.execution_key) AND due = min(coalesce(OLD.due_at, 9223372036854775807), coalesce(OLD.deadline_at, 9223372036854775807)) AND urgency = -coalesce(OLD.priority, (SELECT priority FROM executions WHERE key = OLD.execution_key)) AND opened = OLD.opened; INSERT OR IGNORE INTO assignments (name, due, urgency, opened, interaction_key, workflow) VALUES ('', min(coalesce(NEW.due_at, 9223372036854775807), coalesce(NEW.deadline_at, 9223372036854775807)), -coalesce(NEW.priority, (SELECT priority FROM executions WHERE key = NEW.execution_key)), NEW.opened, NEW.key, (SELECT workflow FROM executions WHERE key = NEW.execution_key)); INSERT OR IGNORE INTO assignments (name, due, urgency, opened, interaction_key, workflow) SELECT value, min(coalesce(NEW.due_at, 9223372036854775807), coalesce(NEW.deadline_at, 9223372036854775807)), -coalesce(NEW.priority, (SELECT priority FROM executions WHERE key = NEW.execution_key)), NEW.opened, NEW.key, (SELECT workflow FROM executions WHERE key = NEW.execution_key) FROM json_each(NEW.assignees) WHERE NEW.assignees IS NOT NULL; INSERT OR IGNORE INTO assignments (name, due, urgency, opened, interaction_key, workflow) SELECT owner, min(coalesce(NEW.due_at, 9223372036854775807), coalesce(NEW.deadline_at, 9223372036854775807)), -coalesce(NEW.priority, (SELECT priority FROM executions WHERE key = NEW.execution_key)), NEW.opened, NEW.key, (SELECT workflow FROM executions WHERE key = NEW.execution_key) FROM executions WHERE key = NEW.execution_key AND NEW.assignees IS NULL AND owner IS NOT NULL; END;
CREATE TRIGGER interactions_are_assigned_no_more AFTER UPDATE OF status ON interactions WHEN OLD.status = 'pending' AND NEW.status <> 'pending' BEGIN DELETE FROM assignments WHERE name = '' AND due = min(coalesce(NEW.due_at, 9223372036854775807), coalesce(NEW.deadline_at, 9223372036854775807)) AND urgency = -coalesce(NEW.priority, (SELECT priority FROM executions WHERE key = NEW.execution_key)) AND opened = NEW.opened; DELETE FROM assignments WHERE NEW.assignees IS NOT NULL AND name IN (SELECT value FROM json_each(NEW.assignees)) AND due = min(coalesce(NEW.due_at, 9223372036854775807), coalesce(NEW.deadline_at, 9223372036854775807)) AND urgency = -coalesce(NEW.priority, (SELECT priority FROM executions WHERE key = NEW.execution_key)) AND opened = NEW.opened; DELETE FROM assignments WHERE NEW.assignees IS NULL AND name = (SELECT owner FROM executions WHERE key = NEW.execution_key) AND due = min(coalesce(NEW.due_at, 9223372036854775807), coalesce(NEW.deadline_at, 9223372036854775807)) AND urgency = -coalesce(NEW.priority, (SELECT priority FROM executions WHERE key = NEW.execution_key)) AND opened = NEW.opened; END;
CREATE INDEX interactions_with_a_deadline ON interactions (deadline_at) WHERE status = 'pending' AND deadline_at IS NOT NULL;
CREATE INDEX reminders_due ON reminders (at) WHERE done_at IS NULL;
CREATE TRIGGER interactions_remind_no_more AFTER UPDATE OF status ON interactions WHEN OLD.status = 'pending' AND NEW.status <> 'pending' BEGIN DELETE FROM reminders WHERE interaction_key = NEW.key; END;
CREATE VIEW answers AS SELECT a.execution_id, a.wait_id AS interaction_id, a.actor AS answered_by, strftime('%Y-%m-%dT%H:%M:%fZ', a.time / 1000.0, 'unixepoch') AS answered_at, a.time AS answered_ms, strftime('%Y-%m-%dT%H:%M:%fZ', q.time / 1000.0, 'unixepoch') AS asked_at, a.time - q.time AS waited_ms, json_extract(q.detail, '$.prompt') AS prompt, json_extract(a.detail, '$.response') AS response, a.sequence, strftime('%Y-%m-%dT%H:%M:%fZ', a.time / 1000.0, 'unixepoch') AS at, a.time AS at_ms, json_extract(c.detail, '$.workflow') AS workflow, json_extract(c.detail, '$.owner') AS owner, json_extract(q.detail, '$.prompt.text') AS question, json_extract(q.detail, '$.position') AS position, coalesce(json_extract(a.detail, '$.response.selected_option.label'), (SELECT group_concat(json_extract(value, '$.label'), ', ') FROM json_each(a.detail, '$.response.selected_options')), json_extract(a.detail, '$.response.text'), CASE json_extract(a.detail, '$.response.action') WHEN 'decline' THEN 'declined' ELSE (SELECT group_concat(key || ': ' || CASE type WHEN 'true' THEN 'yes' WHEN 'false' THEN 'no' ELSE value END, ', ') FROM json_each(a.detail, '$.response.content')) END) AS decision, CASE WHEN json_type(a.detail, '$.response.selected_option.value') = 'true' THEN 1 WHEN json_type(a.detail, '$.response.selected_option.value') = 'false' THEN 0 WHEN json_extract(a.detail, '$.response.action') = 'decline' THEN 0 WHEN lower(json_extract(a.detail, '$.response.selected_option.id')) IN ('yes', 'y', 'true', 'ok', 'approve', 'approved', 'accept', 'allow', 'confirm', 'continue', 'grant') OR lower(json_extract(a.detail, '$.response.selected_option.value')) IN ('yes', 'y', 'true', 'ok', 'approve', 'approved', 'accept', 'allow', 'confirm', 'continue', 'grant') THEN 1 WHEN lower(json_extract(a.detail, '$.response.selected_option.id')) IN ('no', 'n', 'false', 'cancel', 'reject', 'rejected', 'decline', 'deny', 'denied', 'refuse', 'stop') OR lower(json_extract(a.detail, '$.response.selected_option.value')) IN ('no', 'n', 'false', 'cancel', 'reject', 'rejected', 'decline', 'deny', 'denied', 'refuse', 'stop') THEN 0 END AS approved, coalesce(a.cause IN ('deadline', 'undecided'), 0) AS by_default, coalesce((SELECT json_extract(d.detail, '$.assignees') FROM history AS d WHERE d.execution_id = a.execution_id AND d.wait_id = a.wait_id AND d.event IN ('interaction_delegated', 'interaction_reassigned', 'interaction_escalated') AND d.sequence < a.sequence ORDER BY d.sequence DESC LIMIT 1), json_extract(q.detail, '$.assignees')) AS assignees, coalesce(json_extract(q.detail, '$.four_eyes'), 0) AS four_eyes, json_extract(a.detail, '$.authority') AS authority, json_extract(a.detail, '$.groups') AS actor_groups, json_extract(a.detail, '$.roles') AS actor_roles, json_extract(a.detail, '$.response.comment') AS comment, a.event = 'interaction_voted' AS is_vote, CASE a.event WHEN 'interaction_voted' THEN (SELECT coalesce(json_extract(o.detail, '$.response.selected_option.label'), (SELECT group_concat(json_extract(value, '$.label'), ', ') FROM json_each(o.detail, '$.response.selected_options')), json_extract(o.detail, '$.response.text'), CASE json_extract(o.detail, '$.response.action') WHEN 'decline' THEN 'declined' ELSE (SELECT group_concat(key || ': ' || CASE type WHEN 'true' THEN 'yes' WHEN 'false' THEN 'no' ELSE value END, ', ') FROM json_each(o.detail, '$.response.content')) END) FROM history AS o WHERE o.execution_id = a.execution_id AND o.wait_id = a.wait_id AND o.event = 'interaction_answered') END AS outcome FROM history AS a LEFT JOIN history AS q ON q.execution_id = a.execution_id AND q.wait_id = a.wait_id AND q.event = 'interaction_asked' LEFT JOIN history AS c ON c.execution_id = a.execution_id AND c.event = 'execution_created' WHERE a.event IN ('interaction_voted', 'interaction_answered') AND a.cause IS NOT 'votes';
CREATE VIEW told AS SELECT h.sequence, strftime('%Y-%m-%dT%H:%M:%fZ', h.time / 1000.0, 'unixepoch') AS at, h.time AS at_ms, h.execution_id, json_extract(c.detail, '$.workflow') AS workflow, json_extract(c.detail, '$.owner') AS owner, CASE h.event WHEN 'notice_delivered' THEN 'delivered' ELSE 'given up' END AS outcome, json_extract(h.detail, '$.recipient') AS recipient, json_extract(h.detail, '$.channel') AS channel, json_extract(h.detail, '$.route') AS route, json_extract(h.detail, '$.event') AS told, h.wait_id AS interaction_id, json_extract(q.detail, '$.prompt.text') AS question, strftime('%Y-%m-%dT%H:%M:%fZ', o.time / 1000.0, 'unixepoch') AS opened_at, a.actor AS answered_by, strftime('%Y-%m-%dT%H:%M:%fZ', a.time / 1000.0, 'unixepoch') AS answered_at, CASE WHEN a.sequence > h.sequence THEN a.time - h.time END AS answered_after_ms, json_extract(h.detail, '$.attempts') AS attempts, json_extract(h.detail, '$.notice') AS notice FROM history AS h LEFT JOIN history AS c ON c.execution_id = h.execution_id AND c.event = 'execution_created' LEFT JOIN history AS q ON q.execution_id = h.execution_id AND q.wait_id = h.wait_id AND q.event = 'interaction_asked' LEFT JOIN history AS a ON a.execution_id = h.execution_id AND a.wait_id = h.wait_id AND a.event = 'interaction_answered' LEFT JOIN history AS o ON o.execution_id = h.execution_id AND o.wait_id = h.wait_id AND o.event = 'notice_opened' AND json_extract(o.detail, '$.notice') = json_extract(h.detail, '$.notice') WHERE h.event IN ('notice_delivered', 'notice_given_up');
CREATE VIEW execution_timeline AS SELECT h.sequence, strftime('%Y-%m-%dT%H:%M:%fZ', h.time / 1000.0, 'unixepoch') AS at, h.time AS at_ms, h.execution_id, h.time - c.time AS after_ms, h.event, h.to_status AS status, h.actor, h.cause, coalesce(json_extract(h.detail, '$.prompt.text'), json_extract(h.detail, '$.error'), json_extract(h.detail, '$.problem'), coalesce(json_extract(h.detail, '$.response.selected_option.label'), (SELECT group_concat(json_extract(value, '$.label'), ', ') FROM json_each(h.detail, '$.response.selected_options')), json_extract(h.detail, '$.response.text'), CASE json_extract(h.detail, '$.response.action') WHEN 'decline' THEN 'declined' ELSE (SELECT group_concat(key || ': ' || CASE type WHEN 'true' THEN 'yes' WHEN 'false' THEN 'no' ELSE value END, ', ') FROM json_each(h.detail, '$.response.content')) END), (SELECT 'to ' || group_concat(value, ', ') FROM json_each(h.detail, '$.to')), (SELECT 'to ' || group_concat(value, ', ') FROM json_each(h.detail, '$.assignees')), coalesce('to ' || json_extract(h.detail, '$.recipient') || ' ', '') || 'by ' || json_extract(h.detail, '$.channel'), h.cause) AS about, h.wait_id, h.detail FROM history AS h LEFT JOIN history AS c ON c.execution_id = h.execution_id AND c.event = 'execution_created' WHERE h.execution_id IS NOT NULL UNION ALL SELECT s.sequence, strftime('%Y-%m-%dT%H:%M:%fZ', s.time / 1000.0, 'unixepoch') AS at, s.time AS at_ms, gone.value, s.time - c.time, 'swept', NULL, s.actor, s.cause, s.cause, NULL, NULL FROM history AS s JOIN json_each(s.detail, '$.execution_ids') AS gone LEFT JOIN history AS c ON c.execution_id = gone.value AND c.event = 'execution_created' WHERE s.execution_id IS NULL AND s.event = 'swept';
CREATE INDEX mail_addresses_of_sign_in ON mail_addresses (sequence);
CREATE INDEX outbox_due ON outbox (channel, due_at, route) WHERE status = 'pending' AND lease IS NULL;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('leases',1);
