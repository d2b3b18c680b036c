-- Published bulletins. No retention ever touches them.

CREATE TABLE IF NOT EXISTS frozen_bulletins
(
    month String COMMENT '月份，YYYY-MM',
    frozen_at DateTime64(6, 'Asia/Shanghai') COMMENT '冻结（发布）的时间',
    content String COMMENT '通报的全部数字和文字，JSON'
)
ENGINE = ${replicated}MergeTree
ORDER BY (month, frozen_at)
COMMENT '已发布的通报：发布时的数字，永不改变。查询请用视图 bulletins';

CREATE VIEW IF NOT EXISTS bulletins AS
SELECT month, min(frozen_at) AS published_at, argMin(content, frozen_at) AS bulletin
FROM frozen_bulletins
GROUP BY month
COMMENT '已发布的通报，每月一份，以最先发布的为准';
