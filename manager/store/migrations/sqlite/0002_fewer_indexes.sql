-- Each start writes into every index: fewer and narrower ones, and none that nobody asks.
DROP INDEX runs_order;
DROP INDEX runs_queue;
CREATE INDEX runs_queue ON runs (pool, run_order) WHERE state = 'queued';
DROP INDEX runs_by_worker;
CREATE INDEX runs_by_worker ON runs (worker_id, created_at, run_order, pool);

DELETE FROM sqlite_stat1 WHERE idx IN ('runs_order', 'runs_queue', 'runs_by_worker');
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
  ('runs', 'runs_queue', '100000 100000 1'),
  ('runs', 'runs_by_worker', '1000000 10000 2 1 1');
ANALYZE sqlite_schema;
