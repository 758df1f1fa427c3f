-- A store of release 0.1.0, written by its own code. Never changed.
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE channel_states (channel_id INTEGER PRIMARY KEY REFERENCES channels (id), state TEXT NOT NULL);
INSERT INTO "channel_states" VALUES(1,'{"rank":3,"unconfirmed":4,"held":true,"lost":false,"condition":"silent","last_ms":1764000000000,"usable_ms":null,"value":2.7,"flag":2,"pending_rank":0,"pending":0,"below":0,"below_since_ms":0,"below_top":0.0,"recent":[[1764000000000,2.6],[1764000000001,2.7]]}');
CREATE TABLE channels (
  id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, station TEXT NOT NULL, channel TEXT NOT NULL,
  quantity TEXT NOT NULL, UNIQUE (tenant, station, channel));
INSERT INTO "channels" VALUES(1,'takamatsu','kasuga-bridge','water_level','water_level');
INSERT INTO "channels" VALUES(2,'takamatsu','kasuga-bridge','battery_voltage','battery_voltage');
CREATE TABLE cursors (name TEXT PRIMARY KEY, position INTEGER NOT NULL, at_ms INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO "cursors" VALUES('influx',4,1764000020000);
CREATE TABLE dead_letters (
  id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, tenant TEXT NOT NULL, device TEXT NOT NULL,
  topic TEXT NOT NULL, code TEXT NOT NULL, detail TEXT NOT NULL, payload BLOB, bytes INTEGER NOT NULL,
  received_ms INTEGER NOT NULL, log TEXT, seq INTEGER, record INTEGER NOT NULL, count INTEGER NOT NULL);
INSERT INTO "dead_letters" VALUES(1,'takamatsu/kasuga-01/#4e1fc3f0a21ae8bf8ac4d251a15dcb3de89a35d979b57e50a0a6683b3b628efd','takamatsu','kasuga-01','suimon/v1/takamatsu/kasuga-01/data','not_json','Expecting value: line 1 column 1 (char 0)',X'3C786D6C2F3E',6,1764000000000,NULL,NULL,0,2);
INSERT INTO "dead_letters" VALUES(3,'takamatsu/kasuga-01/7d1f9c2ab4e0/9/0','takamatsu','kasuga-01','suimon/v1/takamatsu/kasuga-01/data','unknown_station','elsewhere',X'5B7B22626E223A22656C736577686572652F222C226C6F67223A22376431663963326162346530222C22736571223A392C22636C6B223A2273796E636564222C226274223A313736343030303030392E302C226E223A2277617465725F6C6576656C222C2275223A226D222C2276223A312E307D5D',117,1764000000000,'7d1f9c2ab4e0',9,0,1);
INSERT INTO "dead_letters" VALUES(4,'takamatsu/kasuga-01/0ldlog000000/23/0','takamatsu','kasuga-01','suimon/v1/x/y/data','time_future','in 2031',X'7061796C6F6164',7,1764000000000,'0ldlog000000',23,0,1);
CREATE TABLE devices (
  tenant TEXT NOT NULL, device TEXT NOT NULL, opening TEXT, statement_ms INTEGER, status TEXT, birth TEXT,
  PRIMARY KEY (tenant, device)) WITHOUT ROWID;
INSERT INTO "devices" VALUES('takamatsu','kasuga-01','7d1f9c2ab4e0',1764000010000,'{"state":"online"}','{"agent":"0.1.0"}');
CREATE TABLE episodes (
  tenant TEXT NOT NULL, id TEXT NOT NULL, station TEXT NOT NULL, opened_ms INTEGER NOT NULL,
  closed_ms INTEGER, max_rank INTEGER NOT NULL, PRIMARY KEY (tenant, id)) WITHOUT ROWID;
INSERT INTO "episodes" VALUES('takamatsu','kasuga-bridge.20251001T000000.000Z','closed-bridge',1763222400000,1763308800000,2);
INSERT INTO "episodes" VALUES('takamatsu','kasuga-bridge.20251124T160000.000Z','kasuga-bridge',1764000000000,NULL,3);
INSERT INTO "episodes" VALUES('takamatsu','kasuga-bridge.20251124T160005.000Z','kasuga-bridge',1764000005000,NULL,3);
CREATE TABLE logs (
  id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, device TEXT NOT NULL, log TEXT NOT NULL,
  top INTEGER NOT NULL, held_oldest INTEGER, held_next INTEGER, rejected TEXT NOT NULL,
  UNIQUE (tenant, device, log));
INSERT INTO "logs" VALUES(1,'takamatsu','kasuga-01','7d1f9c2ab4e0',21,3,9,'[[9,9,"unknown_station"]]');
INSERT INTO "logs" VALUES(2,'takamatsu','kasuga-01','0ldlog000000',23,NULL,NULL,'[[23,23,"time_future"]]');
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "meta" VALUES('store','0123456789abcdef');
CREATE TABLE observations (
  id INTEGER PRIMARY KEY AUTOINCREMENT, channel_id INTEGER NOT NULL REFERENCES channels (id),
  observed_ms INTEGER NOT NULL, received_ms INTEGER NOT NULL, log_id INTEGER, seq INTEGER,
  record INTEGER NOT NULL, raw REAL, value REAL, flag INTEGER NOT NULL, tests TEXT, fault TEXT, clk TEXT,
  device TEXT NOT NULL);
INSERT INTO "observations" VALUES(1,1,1764000003000,1764000000000,1,3,0,1.3,1.3,1,NULL,NULL,'synced','kasuga-01');
INSERT INTO "observations" VALUES(2,1,1764000004000,1764000000000,1,4,0,1.4,1.4,1,NULL,NULL,'synced','kasuga-01');
INSERT INTO "observations" VALUES(3,1,1764000005000,1764000005000,1,5,0,2.7,2.7,1,NULL,NULL,'synced','kasuga-01');
INSERT INTO "observations" VALUES(4,1,1764000007000,1764000000000,1,7,0,1.1,1.1,1,NULL,NULL,'synced','kasuga-01');
INSERT INTO "observations" VALUES(5,1,1764000008000,1764000000000,1,8,0,1.2,1.2,1,NULL,NULL,'synced','kasuga-01');
INSERT INTO "observations" VALUES(6,1,1764000020000,1764000020250,1,20,0,NULL,NULL,9,NULL,'no_echo','synced','kasuga-01');
INSERT INTO "observations" VALUES(7,1,1764000021000,1764000021250,1,21,0,2.8,2.8,3,'gap',NULL,'synced','kasuga-01');
INSERT INTO "observations" VALUES(8,2,1764000021000,1764000021250,1,21,1,12.6,12.6,1,NULL,NULL,'synced','kasuga-01');
INSERT INTO "observations" VALUES(9,1,1763913600000,1764000022250,2,22,0,1.5,1.5,1,NULL,NULL,'synced','kasuga-01');
CREATE TABLE outbox (
  id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, medium TEXT NOT NULL, recipient TEXT NOT NULL,
  body TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, owed_ms INTEGER NOT NULL,
  done_ms INTEGER, reason TEXT);
INSERT INTO "outbox" VALUES(1,'takamatsu/kasuga-bridge.20251124T160005.000Z/water_level/rise-0-3/1764000005000/_alerts','mqtt','_alerts','{"key": "takamatsu/kasuga-bridge.20251124T160005.000Z/water_level/rise-0-3/1764000005000", "cap_identifier": "suimon.takamatsu.kasuga-bridge.20251124T160005.000Z.water_level.rise-0-3.1764000005000", "tenant": "takamatsu", "station": "kasuga-bridge", "channel": "water_level", "episode": "kasuga-bridge.20251124T160005.000Z", "change": "rise", "from_rank": 0, "rank": 3, "confirmed_rank": 3, "level": "evacuation", "level_table": "jp-2026", "name": {"ja": "避難判断水位", "en": "evacuation-judgement level"}, "held": false, "condition": "fresh", "confirmed": true, "rings": true, "value": 2.7, "unit": "m", "observed_ms": 1764000005000, "subject": {"ja": "【水位情報】春日橋 避難判断水位を超過", "en": "[Water level] Kasuga Bridge: evacuation-judgement level exceeded"}, "text": {"ja": "春日橋：避難判断水位を超過\n水位 2.70 m ↑ +2520.00 m/h\n観測時刻 11月25日(火) 01:00\n観測値（速報値）による参考情報です。避難情報の発令ではありません。", "en": "Kasuga Bridge: evacuation-judgement level exceeded\nLevel 2.70 m ↑ +2520.00 m/h\nMeasured 25 Nov 01:00 JST\nProvisional observation, for reference. This is not an evacuation order."}}','owed',0,1764000010000,NULL,NULL);
INSERT INTO "outbox" VALUES(2,'takamatsu/kasuga-bridge.20251124T160000.000Z/water_level/rise-0-3/1764000000000/duty','webhook','duty','{"text":"氾濫"}','owed',0,1764000000000,NULL,NULL);
INSERT INTO "outbox" VALUES(3,'takamatsu/kasuga-bridge.20251124T160000.000Z/water_level/rise-0-3/1764000000000/desk','webhook','desk','{"text":"氾濫"}','sent',1,1764000000000,1764000030000,NULL);
INSERT INTO "outbox" VALUES(4,'takamatsu/kasuga-bridge.20251124T160000.000Z/water_level/rise-0-3/1764000000000/old','webhook','old','{"text":"氾濫"}','given_up',3,1764000000000,1764000030000,'answered 404');
CREATE TABLE ranges (
  log_id INTEGER NOT NULL REFERENCES logs (id), kind TEXT NOT NULL, a INTEGER NOT NULL, b INTEGER NOT NULL,
  PRIMARY KEY (log_id, kind, a)) WITHOUT ROWID;
INSERT INTO "ranges" VALUES(1,'lost_at_kill',1,2);
INSERT INTO "ranges" VALUES(1,'lost_at_kill',6,6);
INSERT INTO "ranges" VALUES(1,'rejected',9,9);
INSERT INTO "ranges" VALUES(1,'stored',3,5);
INSERT INTO "ranges" VALUES(1,'stored',7,8);
INSERT INTO "ranges" VALUES(1,'stored',20,21);
INSERT INTO "ranges" VALUES(2,'no_space',1,21);
INSERT INTO "ranges" VALUES(2,'rejected',23,23);
INSERT INTO "ranges" VALUES(2,'stored',22,22);
CREATE TABLE transitions (
  id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, tenant TEXT NOT NULL, station TEXT NOT NULL,
  channel TEXT NOT NULL, episode TEXT NOT NULL, change TEXT NOT NULL, from_rank INTEGER NOT NULL,
  to_rank INTEGER NOT NULL, at_ms INTEGER NOT NULL, value REAL, confirmed INTEGER NOT NULL,
  rings INTEGER NOT NULL, decided_ms INTEGER NOT NULL);
INSERT INTO "transitions" VALUES(1,'takamatsu/kasuga-bridge.20251124T160005.000Z/water_level/rise-0-3/1764000005000','takamatsu','kasuga-bridge','water_level','kasuga-bridge.20251124T160005.000Z','rise',0,3,1764000005000,2.7,1,1,1764000010000);
INSERT INTO "transitions" VALUES(2,'takamatsu/kasuga-bridge.20251124T160000.000Z/water_level/rise-0-3/1764000000000','takamatsu','kasuga-bridge','water_level','kasuga-bridge.20251124T160000.000Z','rise',0,3,1764000000000,2.6,1,1,1764000020000);
CREATE UNIQUE INDEX observations_series ON observations (channel_id, observed_ms);
CREATE INDEX dead_letters_device ON dead_letters (tenant, device, id);
CREATE INDEX outbox_owed ON outbox (recipient, id) WHERE state = 'owed';
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('observations',9);
INSERT INTO "sqlite_sequence" VALUES('dead_letters',4);
INSERT INTO "sqlite_sequence" VALUES('transitions',2);
INSERT INTO "sqlite_sequence" VALUES('outbox',4);
COMMIT;
