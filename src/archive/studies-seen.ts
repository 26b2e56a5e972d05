/**
 * Which studies a caller may see: SQL that is true for the study whose UID stands in `column`, with its values, bound from `$first` on; null: all. The token
 * check in front of the routes leaves one on each request; who sees what is not known here.
 */
export type StudiesSeen = (
  column: string,
  first: number,
) => { readonly text: string; readonly values: readonly unknown[] } | null;

export const allStudies: StudiesSeen = () => null;
