-- Packs are compressed already. EXTERNAL keeps them out of line and does not try to compress them again.
ALTER TABLE journal ALTER COLUMN pack SET STORAGE EXTERNAL;

-- Rows live for minutes, so most of the table is dead soon. Vacuum by number of rows, not by share of the table.
ALTER TABLE journal SET (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0,
    autovacuum_vacuum_insert_threshold = -1,
    toast.autovacuum_vacuum_scale_factor = 0, toast.autovacuum_vacuum_threshold = 2000,
    toast.autovacuum_vacuum_cost_delay = 0
)
