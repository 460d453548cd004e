/**
 * What a session is asked first.
 *
 * When one server process crashes, all are ended and their locks forgotten,
 * though the postmaster's start time stays: it resets all statistics then.
 * Somebody who resets one of them by hand leaves the others. The functions are
 * those of the views pg_stat_bgwriter, pg_stat_archiver and pg_stat_wal, which
 * take a new session a millisecond to look up.
 *
 * transaction_timeout would end a wait. Before PostgreSQL 17 there is none, and
 * naming it at the start would be an error.
 */
export const GREETING = `select pg_backend_pid() as pid,
  current_setting('application_name') as label,
  current_setting('server_version') as version,
  pg_is_in_recovery() as standby,
  case when current_setting('transaction_timeout', true) is not null
    then set_config('transaction_timeout', '0', false) end as timeout,
  1000 * date_part('epoch', clock_timestamp() - greatest(
    pg_postmaster_start_time(),
    least(pg_stat_get_bgwriter_stat_reset_time(),
      (select stats_reset from pg_stat_get_archiver()),
      (select stats_reset from pg_stat_get_wal())))) as up_ms`;
