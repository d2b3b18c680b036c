-- What could not be read. The bytes stay in the log; here is what may be shown of them.

CREATE TABLE IF NOT EXISTS rejects
(
    topic LowCardinality(String) COMMENT '被拒收的消息所在的主题',
    partition UInt32 COMMENT '分区',
    `offset` UInt64 COMMENT '位点',
    at DateTime64(3, 'Asia/Shanghai') COMMENT '被拒收的消息写入日志的时间',
    redriven Bool COMMENT '本行是放回的标记',
    rule LowCardinality(String) COMMENT '拒收的规则',
    message String COMMENT '拒收的原因',
    bytes UInt32 COMMENT '消息的字节数',
    text String COMMENT '消息的文本，个人信息已遮盖',
    rejected_at DateTime64(3, 'Asia/Shanghai') COMMENT '写入拒收主题的时间'
)
ENGINE = ${replicated}ReplacingMergeTree
PARTITION BY toYYYYMM(at)
ORDER BY (topic, partition, `offset`, at, redriven)
COMMENT '拒收：无法读取的报送。查询请用视图 rejects_now';
