-- A spool as suimon 0.1.0 (commit 0558bbe) left it: written by that code, dumped by sqlite3.
BEGIN TRANSACTION;
CREATE TABLE gone (log_id INTEGER NOT NULL, a INTEGER NOT NULL, b INTEGER NOT NULL, reason TEXT NOT NULL,
  PRIMARY KEY (log_id, a)) WITHOUT ROWID;
INSERT INTO "gone" VALUES(1,1,4,'no_space');
INSERT INTO "gone" VALUES(2,6,8,'no_space');
INSERT INTO "gone" VALUES(3,1,9,'log_limit');
CREATE TABLE logs (id INTEGER PRIMARY KEY AUTOINCREMENT, log TEXT NOT NULL UNIQUE, opened_ms INTEGER NOT NULL);
INSERT INTO "logs" VALUES(1,'8d6297099986',1764000000000);
INSERT INTO "logs" VALUES(2,'1513c74aeb95',1764000000001);
INSERT INTO "logs" VALUES(3,'9e9ab4605b8e',1764000000002);
INSERT INTO "logs" VALUES(4,'d734a47337b6',1764000000003);
CREATE TABLE samples (
  log_id INTEGER NOT NULL, seq INTEGER NOT NULL, observed_ms INTEGER NOT NULL, clk TEXT NOT NULL,
  body TEXT NOT NULL, PRIMARY KEY (log_id, seq)) WITHOUT ROWID;
INSERT INTO "samples" VALUES(1,5,1764000300000,'synced','[["kasuga-bridge","water_level","m",0.5,null],["kasuga-bridge","battery_voltage","V",12.5,null]]');
INSERT INTO "samples" VALUES(1,6,1764000360000,'synced','[["kasuga-bridge","water_level","m",0.6,null],["kasuga-bridge","battery_voltage","V",12.5,null]]');
INSERT INTO "samples" VALUES(1,7,1764000420000,'synced','[["kasuga-bridge","water_level","m",null,"no_echo"],["kasuga-bridge","battery_voltage","V",12.5,null]]');
INSERT INTO "samples" VALUES(1,8,1764000480000,'synced','[["kasuga-bridge","water_level","m",0.8,null],["kasuga-bridge","battery_voltage","V",12.5,null]]');
INSERT INTO "samples" VALUES(1,9,1764000540000,'synced','[["kasuga-bridge","water_level","m",0.9,null],["kasuga-bridge","battery_voltage","V",12.5,null]]');
INSERT INTO "samples" VALUES(1,10,1764000600000,'synced','[["kasuga-bridge","water_level","m",1.0,null],["kasuga-bridge","battery_voltage","V",12.5,null]]');
INSERT INTO "samples" VALUES(1,11,1764000660000,'synced','[["kasuga-bridge","water_level","m",1.1,null],["kasuga-bridge","battery_voltage","V",12.5,null]]');
INSERT INTO "samples" VALUES(1,12,1764000720000,'synced','[["kasuga-bridge","water_level","m",1.2,null],["kasuga-bridge","battery_voltage","V",12.5,null]]');
INSERT INTO "samples" VALUES(2,4,1764000240000,'unsynced','[["kasuga-bridge","water_level","m",0.4,null],["kasuga-bridge","battery_voltage","V",12.5,null]]');
INSERT INTO "samples" VALUES(2,5,1764000300000,'unsynced','[["kasuga-bridge","water_level","m",0.5,null],["kasuga-bridge","battery_voltage","V",12.5,null]]');
INSERT INTO "samples" VALUES(2,9,1764000540000,'unsynced','[["kasuga-bridge","water_level","m",0.9,null],["kasuga-bridge","battery_voltage","V",12.5,null]]');
INSERT INTO "samples" VALUES(2,10,1764000600000,'unsynced','[["kasuga-bridge","water_level","m",1.0,null],["kasuga-bridge","battery_voltage","V",12.5,null]]');
INSERT INTO "samples" VALUES(2,11,1764000660000,'unsynced','[["kasuga-bridge","water_level","m",1.1,null],["kasuga-bridge","battery_voltage","V",12.5,null]]');
INSERT INTO "samples" VALUES(2,12,1764000720000,'unsynced','[["kasuga-bridge","water_level","m",1.2,null],["kasuga-bridge","battery_voltage","V",12.5,null]]');
INSERT INTO "samples" VALUES(2,13,1764000780000,'unsynced','[["kasuga-bridge","water_level","m",1.3,null],["kasuga-bridge","battery_voltage","V",12.5,null]]');
INSERT INTO "samples" VALUES(2,14,1764000840000,'unsynced','[["kasuga-bridge","water_level","m",null,"no_echo"],["kasuga-bridge","battery_voltage","V",12.5,null]]');
INSERT INTO "samples" VALUES(2,15,1764000900000,'unsynced','[["kasuga-bridge","water_level","m",1.5,null],["kasuga-bridge","battery_voltage","V",12.5,null]]');
INSERT INTO "samples" VALUES(2,16,1764000960000,'unsynced','[["kasuga-bridge","water_level","m",1.6,null],["kasuga-bridge","battery_voltage","V",12.5,null]]');
INSERT INTO "samples" VALUES(2,17,1764001020000,'unsynced','[["kasuga-bridge","water_level","m",1.7,null],["kasuga-bridge","battery_voltage","V",12.5,null]]');
INSERT INTO "samples" VALUES(2,18,1764001080000,'unsynced','[["kasuga-bridge","water_level","m",1.8,null],["kasuga-bridge","battery_voltage","V",12.5,null]]');
INSERT INTO "samples" VALUES(2,19,1764001140000,'unsynced','[["kasuga-bridge","water_level","m",1.9,null],["kasuga-bridge","battery_voltage","V",12.5,null]]');
INSERT INTO "samples" VALUES(2,20,1764001200000,'unsynced','[["kasuga-bridge","water_level","m",2.0,null],["kasuga-bridge","battery_voltage","V",12.5,null]]');
INSERT INTO "samples" VALUES(4,1,1764000060000,'synced','[["kasuga-bridge","water_level","m",0.1,null],["kasuga-bridge","battery_voltage","V",12.5,null]]');
INSERT INTO "samples" VALUES(4,2,1764000120000,'synced','[["kasuga-bridge","water_level","m",0.2,null],["kasuga-bridge","battery_voltage","V",12.5,null]]');
INSERT INTO "samples" VALUES(4,3,1764000180000,'synced','[["kasuga-bridge","water_level","m",0.3,null],["kasuga-bridge","battery_voltage","V",12.5,null]]');
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('logs',4);
COMMIT;
PRAGMA user_version = 1;
