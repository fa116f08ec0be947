-- Pools whose database was taken back: nothing is placed in them until their workers have told what they ended since.
CREATE TABLE holds (
  pool TEXT NOT NULL PRIMARY KEY,
  since INTEGER NOT NULL,
  asked_by TEXT,
  asked_reason TEXT,
  why TEXT NOT NULL,
  short INTEGER NOT NULL,
  let_go INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
