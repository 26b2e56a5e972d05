/** The tables of which each imported code system has a partition of its own, `<table>_<id of the system>`. */
export const IMPORT_TABLES = [
  'terminology_concept',
  'terminology_property',
  'terminology_designation',
  'terminology_list',
] as const;
