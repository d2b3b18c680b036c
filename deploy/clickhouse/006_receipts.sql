-- What a receipt asks for: one submission by its id, among all there ever were. Parts that are
-- older than this get the index when they are merged.

ALTER TABLE submissions ADD INDEX IF NOT EXISTS by_submission submission TYPE bloom_filter GRANULARITY 1;

ALTER TABLE rejects ADD COLUMN IF NOT EXISTS submission String MATERIALIZED extract(text, '"id":"([0-9A-Za-z_-]+)"') COMMENT '报送的编号；读不出的为空';

ALTER TABLE rejects ADD COLUMN IF NOT EXISTS platform String MATERIALIZED extract(text, '"platform":"([0-9a-z-]+)"') COMMENT '报送的平台；读不出的为空';
