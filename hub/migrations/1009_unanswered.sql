-- Until when a leg's shop should answer; and when another shop is looked for because it has not: none where nobody is, as of
-- the legs from before this step.
ALTER TABLE leg ADD COLUMN answer_by INTEGER;
ALTER TABLE leg ADD COLUMN next_at INTEGER;
CREATE INDEX leg_unanswered ON leg (next_at) WHERE next_at IS NOT NULL AND hub = 0 AND side = 0;
