-- Counts as the judge publishes them: absolute values, each of one partition of submissions.

CREATE TABLE IF NOT EXISTS tallies
(
    day Date32 COMMENT '首次收到的日期（北京时间）',
    unit LowCardinality(String) COMMENT '报送机构',
    category LowCardinality(String) COMMENT '信息类别',
    partition UInt16 COMMENT '报送主题的分区',
    epoch UInt64 COMMENT '报送日志的纪元',
    `offset` UInt64 COMMENT '统计到的位点',
    position UInt128 MATERIALIZED bitOr(bitShiftLeft(toUInt128(epoch), 64), toUInt128(`offset`)) COMMENT '纪元与位点合成的次序，大者为新',
    reported UInt32 COMMENT '报送量：记录数，不含已撤回的',
    compliant UInt32 COMMENT '合规量',
    timely UInt32 COMMENT '及时量：合规且及时',
    late UInt32 COMMENT '逾期量：合规但逾期',
    corrections UInt32 COMMENT '更正次数',
    duplicates UInt32 COMMENT '重复报送次数',
    withdrawn UInt32 COMMENT '已撤回的记录数'
)
ENGINE = ${replicated}ReplacingMergeTree(position)
PARTITION BY toYYYYMM(day)
ORDER BY (unit, category, day, partition)
SETTINGS min_age_to_force_merge_seconds = 600, min_age_to_force_merge_on_partition_only = 1
COMMENT '统计量：按日、机构、类别、分区的绝对值。查询请用视图 tallies_daily';

CREATE TABLE IF NOT EXISTS pending
(
    unit LowCardinality(String) COMMENT '报送机构',
    category LowCardinality(String) COMMENT '信息类别',
    partition UInt16 COMMENT '报送主题的分区',
    epoch UInt64 COMMENT '报送日志的纪元',
    `offset` UInt64 COMMENT '统计到的位点',
    position UInt128 MATERIALIZED bitOr(bitShiftLeft(toUInt128(epoch), 64), toUInt128(`offset`)) COMMENT '纪元与位点合成的次序，大者为新',
    counts Array(Tuple(deadline Nullable(Date32), records UInt32)) COMMENT '各报送期限的待补正记录数；期限未知的为空'
)
ENGINE = ${replicated}ReplacingMergeTree(position)
ORDER BY (unit, category, partition)
COMMENT '待补正：已报送但尚不合规的记录数。查询请用视图 pending_by_deadline';

CREATE TABLE IF NOT EXISTS platforms
(
    platform LowCardinality(String) COMMENT '平台',
    partition UInt16 COMMENT '报送主题的分区',
    epoch UInt64 COMMENT '报送日志的纪元',
    `offset` UInt64 COMMENT '统计到的位点',
    position UInt128 MATERIALIZED bitOr(bitShiftLeft(toUInt128(epoch), 64), toUInt128(`offset`)) COMMENT '纪元与位点合成的次序，大者为新',
    seen Float64 COMMENT '最近一次报送的接收时间（Unix 秒）'
)
ENGINE = ${replicated}ReplacingMergeTree(position)
ORDER BY (platform, partition)
COMMENT '平台最近一次报送的时间。查询请用视图 platforms_now';
