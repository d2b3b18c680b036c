-- What people and Grafana query: one row for each thing that is, no FINAL and no argMax to know.

CREATE VIEW IF NOT EXISTS records_now AS
SELECT
    lower(hex(record_key)) AS record_key, unit, category, effect, day, received_at, decided,
    deadline, provisional, compliant, timely, first_compliant, withdrawn, version, corrections,
    duplicates, document, subject, reasons, submission, platform, printed
FROM records FINAL
COMMENT '信息：每条一行，最新的研判结果';

CREATE VIEW IF NOT EXISTS submissions_now AS
SELECT
    lower(hex(record_key)) AS record_key, epoch, `offset`, unit, category, effect, day,
    received_at, deadline, compliant, timely, withdrawn, version, corrections, duplicates,
    reasons, submission, platform, origin
FROM submissions FINAL
COMMENT '报送台账：每次报送一行';

CREATE VIEW IF NOT EXISTS record_by_key AS
SELECT
    lower(hex(record_key)) AS record_key, unit, category, effect, day, received_at, decided,
    deadline, provisional, compliant, timely, first_compliant, withdrawn, version, corrections,
    duplicates, document, subject, reasons, submission, platform
FROM records AS r FINAL
WHERE r.record_key = unhex({key:String})
COMMENT '一条信息，按信息键：record_by_key(key = 十六进制信息键)';

CREATE VIEW IF NOT EXISTS submissions_by_key AS
SELECT
    epoch, `offset`, unit, category, effect, day, received_at, deadline, compliant, timely,
    withdrawn, version, corrections, duplicates, reasons, submission, platform, origin
FROM submissions AS s FINAL
WHERE s.record_key = unhex({key:String})
ORDER BY epoch, `offset`
COMMENT '一条信息的历次报送，按信息键：submissions_by_key(key = 十六进制信息键)';

CREATE VIEW IF NOT EXISTS tallies_daily AS
SELECT
    day, unit, category,
    sum(t.reported) AS reported, sum(t.compliant) AS compliant, sum(t.timely) AS timely,
    sum(t.late) AS late, sum(t.corrections) AS corrections, sum(t.duplicates) AS duplicates,
    sum(t.withdrawn) AS withdrawn
FROM tallies AS t FINAL
GROUP BY day, unit, category
COMMENT '统计量：每日、每机构、每类别一行';

CREATE VIEW IF NOT EXISTS records_placed AS
SELECT
    reinterpretAsUInt32(reverse(substring(record_key, 1, 4))) % {partitions:UInt16} AS partition,
    record_key, epoch, `offset`, unit, category, day, deadline, compliant, timely, withdrawn,
    corrections, duplicates
FROM records FINAL
COMMENT '信息及其所在的分区：records_placed(partitions = 分区数)';

CREATE VIEW IF NOT EXISTS records_counted AS
SELECT
    partition, day, unit, category,
    countIf(not r.withdrawn) AS reported,
    countIf(not r.withdrawn AND r.compliant) AS compliant,
    countIf(not r.withdrawn AND r.compliant AND r.timely) AS timely,
    countIf(not r.withdrawn AND r.compliant AND not r.timely) AS late,
    sum(r.corrections) AS corrections,
    sum(r.duplicates) AS duplicates,
    countIf(r.withdrawn) AS withdrawn
FROM records_placed(partitions = {partitions:UInt16}) AS r
GROUP BY partition, day, unit, category
COMMENT '由信息重新清点的统计量，分区如 tallies：records_counted(partitions = 分区数)';

CREATE VIEW IF NOT EXISTS records_daily AS
SELECT
    day, unit, category, reported, compliant, timely, late, corrections, duplicates, withdrawn
FROM records_counted(partitions = 1)
COMMENT '由信息重新清点的统计量，应与 tallies_daily 相同';

CREATE VIEW IF NOT EXISTS rolling AS
SELECT
    period, unit, category,
    sum(t.reported) AS reported, sum(t.compliant) AS compliant, sum(t.timely) AS timely,
    sum(t.late) AS late, sum(t.corrections) AS corrections, sum(t.duplicates) AS duplicates,
    sum(t.withdrawn) AS withdrawn,
    if(reported = 0, NULL, intDiv(20000 * compliant + reported, 2 * reported) / 100) AS compliance_rate,
    if(compliant = 0, NULL, intDiv(20000 * timely + compliant, 2 * compliant) / 100) AS timeliness_rate
FROM
(
    -- Each day is read and added up once, with the days that belong to the same periods.
    SELECT
        unit, category,
        (day >= toStartOfMonth({as_of:Date})) + 2 * (day >= {as_of:Date} - 6)
            + 4 * (day >= {as_of:Date} - 29) + 8 * (day >= toStartOfYear({as_of:Date})) AS periods,
        sum(d.reported) AS reported, sum(d.compliant) AS compliant, sum(d.timely) AS timely,
        sum(d.late) AS late, sum(d.corrections) AS corrections, sum(d.duplicates) AS duplicates,
        sum(d.withdrawn) AS withdrawn
    FROM tallies AS d FINAL
    WHERE day BETWEEN least(toStartOfYear({as_of:Date}), {as_of:Date} - 29) AND {as_of:Date}
    GROUP BY unit, category, periods
) AS t
ARRAY JOIN arrayFilter((name, bit) -> bitTest(periods, bit), ['month', '7d', '30d', 'year'], [0, 1, 2, 3]) AS period
GROUP BY period, unit, category
COMMENT '截至某日的滚动统计：rolling(as_of = 日期)；period 为 month 本月、7d、30d、year 本年';

CREATE VIEW IF NOT EXISTS rolling_units AS
SELECT
    period, unit,
    sum(t.reported) AS reported, sum(t.compliant) AS compliant, sum(t.timely) AS timely,
    sum(t.late) AS late, sum(t.corrections) AS corrections, sum(t.duplicates) AS duplicates,
    sum(t.withdrawn) AS withdrawn,
    if(reported = 0, NULL, intDiv(20000 * compliant + reported, 2 * reported) / 100) AS compliance_rate,
    if(compliant = 0, NULL, intDiv(20000 * timely + compliant, 2 * compliant) / 100) AS timeliness_rate
FROM rolling(as_of = {as_of:Date}) AS t
WHERE category NOT IN ('commitment', 'fulfilment', 'joint_case', 'publicity')
GROUP BY period, unit
COMMENT '截至某日各机构的总报送量：rolling_units(as_of = 日期)，不含承诺、履约、联合奖惩和宣传';

CREATE VIEW IF NOT EXISTS rolling_city AS
SELECT
    period, category,
    sum(t.reported) AS reported, sum(t.compliant) AS compliant, sum(t.timely) AS timely,
    sum(t.late) AS late, sum(t.corrections) AS corrections, sum(t.duplicates) AS duplicates,
    sum(t.withdrawn) AS withdrawn,
    if(reported = 0, NULL, intDiv(20000 * compliant + reported, 2 * reported) / 100) AS compliance_rate,
    if(compliant = 0, NULL, intDiv(20000 * timely + compliant, 2 * compliant) / 100) AS timeliness_rate
FROM rolling(as_of = {as_of:Date}) AS t
GROUP BY period, category
COMMENT '截至某日全市各类别：rolling_city(as_of = 日期)';

CREATE VIEW IF NOT EXISTS pending_by_deadline AS
SELECT unit, category, item.deadline AS deadline, sum(item.records) AS records
FROM pending FINAL
ARRAY JOIN counts AS item
GROUP BY unit, category, deadline
COMMENT '待补正：各机构、类别、报送期限的记录数';

CREATE VIEW IF NOT EXISTS late_by_deadline AS
SELECT unit, category, assumeNotNull(r.deadline) AS deadline, countIf(r.compliant) AS late, countIf(not r.compliant) AS pending
FROM records AS r FINAL
WHERE not r.withdrawn AND r.deadline IS NOT NULL AND ((r.compliant AND not r.timely) OR (not r.compliant AND r.deadline < {as_of:Date}))
GROUP BY unit, category, deadline
COMMENT '截至某日已逾期的：late_by_deadline(as_of = 日期)；late 为逾期后才合规的，pending 为仍未合规的';

CREATE VIEW IF NOT EXISTS records_known AS
SELECT
    lower(hex(record_key)) AS record_key, unit, category,
    argMax(s.day, position) AS day, argMax(s.deadline, position) AS deadline,
    argMax(s.compliant, position) AS compliant,
    argMax(tuple(s.timely), position).1 AS timely,
    argMax(s.withdrawn, position) AS withdrawn, argMax(s.version, position) AS version
FROM submissions AS s
WHERE received_at < toDateTime64({as_of:Date} + 1, 6, 'Asia/Shanghai')
GROUP BY unit, category, record_key
COMMENT '截至某日终了时所知的信息状态（不含此后的更正）：records_known(as_of = 日期)';

CREATE VIEW IF NOT EXISTS platforms_now AS
SELECT platform, toDateTime64(max(seen), 3, 'Asia/Shanghai') AS last_submission
FROM platforms FINAL
GROUP BY platform
COMMENT '各平台最近一次报送的时间';

CREATE VIEW IF NOT EXISTS rejects_now AS
SELECT
    concat(topic, '/', toString(partition), '/', toString(`offset`)) AS id, topic, partition, `offset`, at,
    anyIf(rule, not r.redriven) AS rule, anyIf(message, not r.redriven) AS message,
    anyIf(bytes, not r.redriven) AS bytes, anyIf(text, not r.redriven) AS text,
    max(r.redriven) AS redriven
FROM rejects AS r
GROUP BY topic, partition, `offset`, at
HAVING countIf(not r.redriven) > 0
COMMENT '拒收：每条一行，redriven 表示已放回';

CREATE VIEW IF NOT EXISTS verdicts_now AS
SELECT
    lower(hex(record_key)) AS record_key, unit, category, effect, compliant, timely, deadline,
    provisional, reasons, tuple(epoch, `offset`) AS position, version,
    lower(hex(digest)) AS digest, day, first_compliant, withdrawn, corrections, duplicates,
    concat(replaceOne(toString(received_at), ' ', 'T'), '+08:00') AS received_at,
    document, subject, decided, printed, submission, platform, NULL AS origin
FROM records FINAL
COMMENT '由信息还原的研判消息，用于恢复消息服务中的状态';
