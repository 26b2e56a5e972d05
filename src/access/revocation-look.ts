/** A token ended in one process is refused in the others after this long at most, and a look; in the one that ended it, at once. */
export const REVOCATION_LOOK_MS_MAX = 2_000;
