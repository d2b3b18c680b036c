-- What was judged: the latest verdict of every record, and every verdict there ever was.
--
-- The verdict messages of the log go in as they are, through the table `verdicts`, which keeps
-- nothing itself. ${replicated} stands for the prefix of replicated engines. A month that is over
-- is merged into one part, of which FINAL has nothing left to do.

CREATE TABLE IF NOT EXISTS records
(
    record_key FixedString(16) COMMENT '信息键：报送机构、类别、文书号和主体的加密摘要',
    epoch UInt64 COMMENT '报送日志的纪元：建立该主题的时刻（Unix 秒）',
    `offset` UInt64 COMMENT '造成本状态的报送在日志中的位点',
    position UInt128 MATERIALIZED bitOr(bitShiftLeft(toUInt128(epoch), 64), toUInt128(`offset`)) COMMENT '纪元与位点合成的次序，大者为新',
    unit LowCardinality(String) COMMENT '报送机构',
    category LowCardinality(String) COMMENT '信息类别，如 licence、penalty',
    effect LowCardinality(String) COMMENT '最近一次报送的效果：new、correction、duplicate、withdrawn',
    day Date32 COMMENT '首次收到的日期（北京时间），决定计入哪一月',
    received_at DateTime64(6, 'Asia/Shanghai') COMMENT '最近一次报送的接收时间',
    decided Nullable(Date32) COMMENT '作出决定的日期；不是有效日期的为空',
    deadline Nullable(Date32) COMMENT '报送期限的最后一日；没有期限的为空',
    provisional Bool COMMENT '期限是否暂定：所跨年份的放假安排尚未公布',
    compliant Bool COMMENT '最新版本是否合规',
    timely Nullable(Bool) COMMENT '是否及时；尚未确定或没有期限的为空',
    first_compliant Nullable(Date32) COMMENT '首个合规版本的接收日期',
    withdrawn Bool COMMENT '是否已撤回',
    version UInt32 COMMENT '版本号，从 1 起，更正和撤回各加 1',
    corrections UInt32 COMMENT '更正次数',
    duplicates UInt32 COMMENT '重复报送次数',
    digest FixedString(16) COMMENT '内容的加密摘要，用于识别重复报送',
    document String COMMENT '文书号，按报送的写法',
    subject String COMMENT '主体名称；自然人的姓名已遮盖',
    reasons Array(Tuple(rule LowCardinality(String), field LowCardinality(String), message String, severity LowCardinality(String))) COMMENT '违反的规则：规则、字段、说明、程度',
    submission String COMMENT '最近一次报送的编号',
    platform LowCardinality(String) COMMENT '最近一次报送的平台',
    printed Map(LowCardinality(String), String) COMMENT '通报要刊印的内容，按字段；只有诚信宣传活动有',
    INDEX by_key record_key TYPE bloom_filter GRANULARITY 1
)
ENGINE = ${replicated}ReplacingMergeTree(position)
PARTITION BY toYYYYMM(day)
ORDER BY (unit, category, day, record_key)
SETTINGS min_age_to_force_merge_seconds = 600, min_age_to_force_merge_on_partition_only = 1
COMMENT '信息：每条的最新研判结果。查询请用视图 records_now';

CREATE TABLE IF NOT EXISTS submissions
(
    record_key FixedString(16) COMMENT '信息键',
    epoch UInt64 COMMENT '报送日志的纪元',
    `offset` UInt64 COMMENT '报送在日志中的位点',
    position UInt128 MATERIALIZED bitOr(bitShiftLeft(toUInt128(epoch), 64), toUInt128(`offset`)) COMMENT '纪元与位点合成的次序',
    unit LowCardinality(String) COMMENT '报送机构',
    category LowCardinality(String) COMMENT '信息类别',
    effect LowCardinality(String) COMMENT '本次报送的效果：new、correction、duplicate、withdrawn',
    day Date32 COMMENT '该信息首次收到的日期',
    received_at DateTime64(6, 'Asia/Shanghai') COMMENT '本次报送的接收时间',
    deadline Nullable(Date32) COMMENT '报送期限的最后一日',
    compliant Bool COMMENT '本次报送之后是否合规',
    timely Nullable(Bool) COMMENT '本次报送之后是否及时',
    withdrawn Bool COMMENT '本次报送之后是否已撤回',
    version UInt32 COMMENT '本次报送之后的版本号',
    corrections UInt32 COMMENT '至此的更正次数',
    duplicates UInt32 COMMENT '至此的重复报送次数',
    reasons Array(Tuple(rule LowCardinality(String), field LowCardinality(String), message String, severity LowCardinality(String))) COMMENT '违反的规则；字段值已遮盖',
    submission String COMMENT '报送的编号',
    platform LowCardinality(String) COMMENT '报送的平台',
    origin Tuple(log String, `offset` UInt64) COMMENT '平台接入主题中的位置；不由接入主题来的为空',
    INDEX by_key record_key TYPE bloom_filter GRANULARITY 1
)
ENGINE = ${replicated}ReplacingMergeTree
PARTITION BY toYYYYMM(received_at)
ORDER BY (unit, category, record_key, epoch, `offset`)
COMMENT '报送台账：每一次报送及其研判结果。查询请用视图 submissions_now';

CREATE TABLE IF NOT EXISTS verdicts
(
    record_key String COMMENT '信息键，十六进制',
    position Tuple(UInt64, UInt64) COMMENT '纪元和位点',
    unit String COMMENT '报送机构',
    category String COMMENT '信息类别',
    effect String COMMENT '报送的效果',
    day Date32 COMMENT '首次收到的日期',
    received_at DateTime64(6, 'Asia/Shanghai') COMMENT '接收时间',
    decided Nullable(Date32) COMMENT '作出决定的日期',
    deadline Nullable(Date32) COMMENT '报送期限的最后一日',
    provisional Bool COMMENT '期限是否暂定',
    compliant Bool COMMENT '是否合规',
    timely Nullable(Bool) COMMENT '是否及时',
    first_compliant Nullable(Date32) COMMENT '首个合规版本的接收日期',
    withdrawn Bool COMMENT '是否已撤回',
    version UInt32 COMMENT '版本号',
    corrections UInt32 COMMENT '更正次数',
    duplicates UInt32 COMMENT '重复报送次数',
    digest String COMMENT '内容的加密摘要，十六进制',
    document String COMMENT '文书号',
    subject String COMMENT '主体名称',
    reasons Array(Tuple(rule LowCardinality(String), field LowCardinality(String), message String, severity LowCardinality(String))) COMMENT '违反的规则',
    submission String COMMENT '报送的编号',
    platform String COMMENT '报送的平台',
    origin Tuple(String, UInt64) COMMENT '平台接入主题中的位置',
    printed Map(String, String) COMMENT '通报要刊印的内容，按字段',
    -- A date out of range would be stored as another one, a missing key or position as zero.
    CONSTRAINT keyed CHECK length(record_key) = 32 AND length(digest) = 32,
    CONSTRAINT placed CHECK position.1 > 0,
    CONSTRAINT dated CHECK day BETWEEN '1970-01-02' AND '2199-12-31' AND received_at BETWEEN '1970-01-02 00:00:00' AND '2199-12-31 00:00:00'
)
ENGINE = Null
COMMENT '研判结果的入口：消息原样写入，分送 records 和 submissions，自身不存数据';

CREATE MATERIALIZED VIEW IF NOT EXISTS verdicts_to_records TO records AS
SELECT
    unhex(record_key) AS record_key, position.1 AS epoch, position.2 AS `offset`,
    unit, category, effect, day, received_at, decided, deadline, provisional, compliant, timely,
    first_compliant, withdrawn, version, corrections, duplicates, unhex(digest) AS digest,
    document, subject, reasons, submission, platform, printed
FROM verdicts
COMMENT '研判结果写入 records';

CREATE MATERIALIZED VIEW IF NOT EXISTS verdicts_to_submissions TO submissions AS
SELECT
    unhex(record_key) AS record_key, position.1 AS epoch, position.2 AS `offset`,
    unit, category, effect, day, received_at, deadline, compliant, timely, withdrawn, version,
    corrections, duplicates, reasons, submission, platform, origin
FROM verdicts
COMMENT '研判结果写入 submissions';
