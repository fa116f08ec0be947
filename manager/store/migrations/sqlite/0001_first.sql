CREATE TABLE leases (
  pool TEXT NOT NULL PRIMARY KEY,
  holder TEXT NOT NULL,
  term INTEGER NOT NULL,
  batch INTEGER NOT NULL,
  beat INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tasks (
  id TEXT NOT NULL PRIMARY KEY,
  pool TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  name TEXT NOT NULL,
  version INTEGER NOT NULL,
  kind TEXT NOT NULL,
  updated_at INTEGER NOT NULL,
  deleted INTEGER NOT NULL,
  live_name TEXT GENERATED ALWAYS AS (CASE WHEN deleted = 0 THEN name END) VIRTUAL,
  labels TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX tasks_name ON tasks (pool, live_name);
CREATE INDEX tasks_by_name ON tasks (live_name, created_at, id);
CREATE INDEX tasks_by_pool ON tasks (deleted, pool, created_at, id);
CREATE INDEX tasks_by_time ON tasks (deleted, created_at, id);

CREATE TABLE task_labels (
  label TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  task_id TEXT NOT NULL,
  PRIMARY KEY (label, created_at, task_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX task_labels_task ON task_labels (task_id);

CREATE TABLE task_versions (
  task_id TEXT NOT NULL,
  version INTEGER NOT NULL,
  body TEXT,
  script TEXT,
  created_at INTEGER NOT NULL,
  asked_by TEXT NOT NULL,
  by_reason TEXT,
  definition TEXT NOT NULL,
  PRIMARY KEY (task_id, version)
) STRICT;

CREATE TABLE runs (
  id TEXT NOT NULL PRIMARY KEY,
  pool TEXT NOT NULL,
  run_order INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  state TEXT NOT NULL,
  task_id TEXT NOT NULL,
  worker_id TEXT,
  task_version INTEGER NOT NULL,
  task_name TEXT NOT NULL,
  wanted_worker_id TEXT,
  started_at INTEGER,
  ended_at INTEGER,
  placements INTEGER NOT NULL,
  tries INTEGER NOT NULL,
  asked_by TEXT NOT NULL,
  by_reason TEXT,
  rerun_of TEXT,
  trace TEXT NOT NULL,
  how_ended TEXT,
  stop TEXT,
  progress TEXT,
  result_body TEXT,
  labels TEXT NOT NULL,
  params TEXT NOT NULL,
  result TEXT
) STRICT;
CREATE UNIQUE INDEX runs_order ON runs (pool, run_order);
CREATE INDEX runs_queue ON runs (pool, state, run_order);
CREATE INDEX runs_by_state ON runs (state, created_at, run_order, pool);
CREATE INDEX runs_by_task ON runs (task_id, state, created_at, run_order, pool);
CREATE INDEX runs_by_worker ON runs (worker_id, state, created_at, run_order, pool);

CREATE TABLE run_labels (
  label TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  run_order INTEGER NOT NULL,
  pool TEXT NOT NULL,
  run_id TEXT NOT NULL,
  PRIMARY KEY (label, created_at, run_order, pool)
) STRICT, WITHOUT ROWID;

CREATE TABLE attempts (
  id TEXT NOT NULL PRIMARY KEY,
  run_id TEXT NOT NULL,
  task_id TEXT NOT NULL,
  pool TEXT NOT NULL,
  number INTEGER NOT NULL,
  worker_id TEXT NOT NULL,
  epoch TEXT NOT NULL,
  sent_at INTEGER NOT NULL,
  state TEXT NOT NULL,
  started_at INTEGER,
  ended_at INTEGER,
  pid INTEGER,
  how_ended TEXT
) STRICT;
CREATE UNIQUE INDEX attempts_run ON attempts (run_id, number);
CREATE INDEX attempts_open ON attempts (pool) WHERE state <> 'ended';

CREATE TABLE workers (
  id TEXT NOT NULL PRIMARY KEY,
  pool TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  epoch TEXT,
  connection INTEGER NOT NULL,
  draining INTEGER NOT NULL,
  survives INTEGER,
  http INTEGER,
  state TEXT NOT NULL,
  state_since INTEGER NOT NULL,
  last_seen_at INTEGER,
  capacity TEXT,
  facts TEXT,
  own_labels TEXT NOT NULL,
  api_labels TEXT NOT NULL
) STRICT;
CREATE INDEX workers_by_pool ON workers (pool, id);
CREATE INDEX workers_by_state ON workers (state, id);

CREATE TABLE worker_labels (
  label TEXT NOT NULL,
  given_by TEXT NOT NULL,
  worker_id TEXT NOT NULL,
  PRIMARY KEY (label, given_by, worker_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX worker_labels_worker ON worker_labels (worker_id, given_by);

CREATE TABLE journals (
  worker_id TEXT NOT NULL,
  journal TEXT NOT NULL,
  applied INTEGER NOT NULL,
  PRIMARY KEY (worker_id, journal)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
  pool TEXT NOT NULL,
  number INTEGER NOT NULL,
  at INTEGER NOT NULL,
  kind TEXT NOT NULL,
  task_id TEXT,
  run_id TEXT,
  attempt_id TEXT,
  worker_id TEXT,
  asked_by TEXT,
  data TEXT NOT NULL,
  PRIMARY KEY (pool, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX events_by_run ON events (run_id, pool, number);
CREATE INDEX events_by_task ON events (task_id, pool, number, kind);
CREATE INDEX events_by_worker ON events (worker_id, pool, number, kind);
CREATE INDEX events_by_kind ON events (kind, pool, number);

CREATE TABLE idempotency_keys (
  task_id TEXT NOT NULL,
  idempotency_key TEXT NOT NULL,
  body_hash TEXT NOT NULL,
  run_id TEXT NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (task_id, idempotency_key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_keys_by_time ON idempotency_keys (at);

CREATE TABLE set_aside (
  id TEXT NOT NULL PRIMARY KEY,
  pool TEXT NOT NULL,
  at INTEGER NOT NULL,
  source TEXT NOT NULL,
  why TEXT NOT NULL,
  raw TEXT NOT NULL
) STRICT;
CREATE INDEX set_aside_by_time ON set_aside (at, id);

CREATE TABLE bodies (
  sha256 TEXT NOT NULL,
  part INTEGER NOT NULL,
  bytes BLOB NOT NULL,
  PRIMARY KEY (sha256, part)
) STRICT;

CREATE TABLE secrets (
  name TEXT NOT NULL PRIMARY KEY,
  value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- What SQLite's planner is to expect: a long history. Without it, it takes the key of events for the best way to the events
-- of one run. Numbers are: rows, and rows that share the first column of the index, the first two, … They are never measured
-- again (nobody runs ANALYZE), so plans do not change with the data.
ANALYZE;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
  ('events', 'events', '10000000 10000000 1'),
  ('events', 'events_by_run', '10000000 8 8 1'),
  ('events', 'events_by_task', '10000000 100000 100000 1 1'),
  ('events', 'events_by_worker', '10000000 100000 100000 1 1'),
  ('events', 'events_by_kind', '10000000 1000000 1000000 1'),
  ('runs', 'sqlite_autoindex_runs_1', '1000000 1'),
  ('runs', 'runs_order', '1000000 1000000 1'),
  ('runs', 'runs_queue', '1000000 1000000 100000 1'),
  ('runs', 'runs_by_state', '1000000 100000 2 1 1'),
  ('runs', 'runs_by_task', '1000000 10000 1000 2 1 1'),
  ('runs', 'runs_by_worker', '1000000 10000 1000 2 1 1'),
  ('run_labels', 'run_labels', '1000000 10000 2 1 1'),
  ('attempts', 'sqlite_autoindex_attempts_1', '1000000 1'),
  ('attempts', 'attempts_run', '1000000 1 1'),
  ('attempts', 'attempts_open', '1000 1000');
ANALYZE sqlite_schema;
