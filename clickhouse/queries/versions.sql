-- ClickHouse's version and the newest migration of the tables.
SELECT
    version() AS clickhouse,
    max(number) AS migration,
    argMax(name, number) AS migration_name
FROM schema_migrations
