"""Makes databases as cargo 1.95 does (its .schema, user_version 7), with the real SQLite.

stdin: a JSON list of {path, before?: [sql], rows: {table: [[...]]}, after?: [sql]}; stdout: a JSON list with the rows of each
table of each of them, by its columns, as SQLite reads them back.
"""
import json
import os
import sqlite3
import sys

SCHEMA = """
CREATE TABLE registry_index (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE NOT NULL, timestamp INTEGER NOT NULL
);
CREATE TABLE registry_crate (
    registry_id INTEGER NOT NULL, name TEXT NOT NULL, size INTEGER NOT NULL, timestamp INTEGER NOT NULL,
    PRIMARY KEY (registry_id, name), FOREIGN KEY (registry_id) REFERENCES registry_index (id) ON DELETE CASCADE
);
CREATE TABLE registry_src (
    registry_id INTEGER NOT NULL, name TEXT NOT NULL, size INTEGER, timestamp INTEGER NOT NULL,
    PRIMARY KEY (registry_id, name), FOREIGN KEY (registry_id) REFERENCES registry_index (id) ON DELETE CASCADE
);
CREATE TABLE git_db (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE NOT NULL, timestamp INTEGER NOT NULL
);
CREATE TABLE git_checkout (
    git_id INTEGER NOT NULL, name TEXT UNIQUE NOT NULL, size INTEGER, timestamp INTEGER NOT NULL,
    PRIMARY KEY (git_id, name), FOREIGN KEY (git_id) REFERENCES git_db (id) ON DELETE CASCADE
);
CREATE TABLE global_data (last_auto_gc INTEGER NOT NULL);
PRAGMA user_version = 7;
"""
TABLES = ["registry_index", "registry_crate", "registry_src", "git_db", "git_checkout", "global_data"]


def make(spec):
    if os.path.exists(spec["path"]):
        os.remove(spec["path"])
    database = sqlite3.connect(spec["path"], isolation_level=None)
    database.execute("PRAGMA synchronous = OFF")
    database.execute("PRAGMA journal_mode = MEMORY")
    for statement in spec.get("before", []):
        database.execute(statement)
    database.executescript(SCHEMA)
    database.execute("BEGIN")
    for table, rows in spec["rows"].items():
        if rows:
            database.executemany(f"INSERT INTO {table} VALUES ({','.join('?' * len(rows[0]))})", rows)
    database.execute("COMMIT")
    for statement in spec.get("after", []):
        database.execute(statement)
    found = {}
    present = [name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    for table in [each for each in TABLES if each in present]:
        cursor = database.execute(f"SELECT * FROM {table}")
        found[table] = {"columns": [column[0] for column in cursor.description], "rows": cursor.fetchall()}
    if not spec.get("open"):
        database.close()
    return found, database


made = [make(spec) for spec in json.load(sys.stdin)]
json.dump([found for found, _ in made], sys.stdout, default=repr)
sys.stdout.flush()
# A write-ahead log is folded into the file when the last one who has it open closes it: this one does not come to that.
os._exit(0)
