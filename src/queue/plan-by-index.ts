/**
 * A plan is kept for the life of a connection, and one that was made while the table was empty reads all of it: here the rows are always few and have an index.
 * The first of a lane is the first in its index: reading all of a long lane to sort it took most of the time there was.
 * One plan serves groups of all sizes: left to itself the planner plans again for each, which takes twice as long as the statement.
 */
export const BY_INDEX = {
  name: 'plan-by-index',
  text: `SELECT set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true),
    set_config('enable_mergejoin', 'off', true),
    set_config('enable_bitmapscan', 'off', true), set_config('enable_sort', 'off', true),
    set_config('plan_cache_mode', 'force_generic_plan', true)`,
};
