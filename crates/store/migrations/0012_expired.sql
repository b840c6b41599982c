-- When a delivery was taken out of its landing zone because its time was over.
ALTER TABLE delivery ADD COLUMN expired_at INTEGER;

-- Only what was delivered can expire, and only once.
CREATE INDEX delivery_retained ON delivery (n) WHERE state = 'succeeded' AND expired_at IS NULL;
