-- Pools whose database was taken back: nothing is placed in them until their workers have told what they ended since.

CREATE TABLE IF NOT EXISTS `holds` (
  `pool` VARCHAR(36) NOT NULL,
  `since` BIGINT NOT NULL,
  `asked_by` VARCHAR(500),
  `asked_reason` VARCHAR(500),
  `why` VARCHAR(500) NOT NULL,
  `short` BOOLEAN NOT NULL,
  `let_go` BOOLEAN NOT NULL,
  PRIMARY KEY (`pool`)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;
