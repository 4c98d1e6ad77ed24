"""The Lua scripts behind items: each runs in Redis as one step, so readers never see half of it.

Keys, in this order: the item, the index (a sorted set by sequence number), the sequence, the
generation (a number that every write raises, so that cached list pages of before are not read
again) and the idempotency record.
"""

CREATE = """
if ARGV[3] ~= '' then
  local earlier = redis.call('GET', KEYS[5])
  if earlier then return {0, earlier} end
end
redis.call('SET', KEYS[1], ARGV[2])
redis.call('ZADD', KEYS[2], redis.call('INCR', KEYS[3]), ARGV[1])
redis.call('INCR', KEYS[4])
if ARGV[3] ~= '' then redis.call('SET', KEYS[5], ARGV[3] .. ARGV[2], 'EX', ARGV[4]) end
return {1, ARGV[2]}
"""

# ARGV: the body the caller has seen, the new one. Only an item that is still as seen is changed.
UPDATE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
redis.call('INCR', KEYS[4])
return 1
"""

# ARGV: the body the caller has seen, the item's ID in the index.
DELETE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[2])
redis.call('INCR', KEYS[4])
return 1
"""
