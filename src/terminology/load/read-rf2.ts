import { CODE_SYSTEMS } from '../../kernel/code-systems.ts';
import { Failure } from '../../kernel/errors.ts';
import { CopyRows } from './copy-rows.ts';
import { linesOf, type SourceFile } from './source-files.ts';
import type { ReadTerminology, Staging } from './staging.ts';

const SNOMED_SYSTEM = CODE_SYSTEMS.sct;

/** SNOMED CT concepts that RF2 is written with (SNOMED International, Release File Specification). */
const IS_A = '116680003';
const FULLY_SPECIFIED = '900000000000003001';
const SYNONYM = '900000000000013009';
const PREFERRED = '900000000000548007';

/**
 * A SNOMED CT release, RF2 snapshot: Concept, Description and Relationship, and where they are there TextDefinition and the Language reference set, which says
 * what a concept is called. Without it the display is the fully specified name. Inactive concepts come in as inactive, inactive
 * descriptions and relationships not at all. Attributes (finding site and so on) are not imported.
 */
export function readRf2(files: readonly SourceFile[], language = 'en'): ReadTerminology {
  return async (into) => {
    const concepts = pick(files, /^x?sct2_Concept_Snapshot_.*\.txt$/i);
    const descriptions = pick(files, /^x?sct2_Description_Snapshot.*\.txt$/i);
    const relationships = pick(files, /^x?sct2_Relationship_Snapshot_.*\.txt$/i);
    if (concepts.length === 0 || descriptions.length === 0 || relationships.length === 0)
      throw new Failure(
        'terminology.import',
        'An RF2 snapshot has the files sct2_Concept_Snapshot_…, sct2_Description_Snapshot… and sct2_Relationship_Snapshot_…; not all are there.',
      );
    const release = new Release();
    await into.client.query(TABLES);
    for (const file of concepts) await readConcepts(file, into, release);
    for (const file of descriptions) await readDescriptions(file, into, 'stage_description');
    for (const file of pick(files, /^x?sct2_TextDefinition_Snapshot.*\.txt$/i))
      await readDescriptions(file, into, 'stage_definition');
    for (const file of pick(files, /^x?der2_cRefset_Language\w*Snapshot.*\.txt$/i))
      await readPreferred(file, into);
    for (const file of relationships) await readParents(file, into);
    await into.flush();
    await nameConcepts(into, language);
    return {
      url: SNOMED_SYSTEM,
      version: release.version(),
      name: 'SNOMED_CT',
      title: 'SNOMED CT',
      copyright: 'SNOMED CT is a work of SNOMED International; its use needs a licence.',
      caseSensitive: true,
      properties: { moduleId: 'code', sufficientlyDefined: 'boolean' },
    };
  };
}

const pick = (files: readonly SourceFile[], name: RegExp): SourceFile[] =>
  files.filter((file) => name.test(file.name));

/**
 * The edition is named by the module with most concepts, its version by the latest date (SNOMED CT URI Standard 2.1). For an edition that
 * extends another this may be the other's; `--version` names it rightly.
 */
class Release {
  private latest = '';
  private readonly modules = new Map<string, number>();

  add(module: string, time: string): void {
    if (time > this.latest) this.latest = time;
    this.modules.set(module, (this.modules.get(module) ?? 0) + 1);
  }

  version(): string {
    const [module] = [...this.modules].sort(([, a], [, b]) => b - a)[0] ?? [''];
    return `${SNOMED_SYSTEM}/${module}/version/${this.latest}`;
  }
}

const PRIMITIVE = '900000000000074008';

/** id, effectiveTime, active, moduleId, definitionStatusId */
async function readConcepts(file: SourceFile, into: Staging, release: Release): Promise<void> {
  for await (const [code = '', time = '', active, module = '', status] of rowsOf(file, 5)) {
    release.add(module, time);
    await into.concept({ code, display: '', inactive: active !== '1' });
    await into.property(code, 'moduleId', module);
    await into.property(code, 'sufficientlyDefined', String(status !== PRIMITIVE));
  }
}

/** id, effectiveTime, active, moduleId, conceptId, languageCode, typeId, term, caseSignificanceId; text definitions have the same fields. */
async function readDescriptions(
  file: SourceFile,
  into: Staging,
  table: 'stage_description' | 'stage_definition',
): Promise<void> {
  const rows = new CopyRows(into.client, table, ['id', 'code', 'language', 'specified', 'term']);
  for await (const [id = '', , active, , code = '', language = '', type, term = ''] of rowsOf(file, 9)) {
    if (active === '1') await rows.add(id, code, language, type === FULLY_SPECIFIED, term);
  }
  await rows.flush();
}

/** id, effectiveTime, active, moduleId, refsetId, referencedComponentId, acceptabilityId */
async function readPreferred(file: SourceFile, into: Staging): Promise<void> {
  const rows = new CopyRows(into.client, 'stage_preferred', ['description', 'refset']);
  for await (const [, , active, , refset = '', description = '', acceptability] of rowsOf(file, 7)) {
    if (active === '1' && acceptability === PREFERRED) await rows.add(description, refset);
  }
  await rows.flush();
}

/** id, effectiveTime, active, moduleId, sourceId, destinationId, relationshipGroup, typeId, … */
async function readParents(file: SourceFile, into: Staging): Promise<void> {
  for await (const [, , active, , child = '', parent = '', , type] of rowsOf(file, 8)) {
    if (active === '1' && type === IS_A) await into.parent(child, parent);
  }
}

/** Rows of an RF2 file: tabs between the fields, no quoting, names of the fields in the first line. */
async function* rowsOf(file: SourceFile, fields: number): AsyncGenerator<string[]> {
  let line = 0;
  for await (const text of linesOf(file)) {
    line += 1;
    if (line === 1 || text === '') continue;
    const row = text.split('\t');
    if (row.length < fields)
      throw new Failure(
        'terminology.import',
        `${file.name}, line ${line}: it has too few fields. Is it complete?`,
      );
    yield row;
  }
}

const TABLES = `
  CREATE TEMPORARY TABLE stage_description (
    id text COLLATE "C", code text COLLATE "C", language text, specified boolean, term text) ON COMMIT DROP;
  CREATE TEMPORARY TABLE stage_definition (LIKE stage_description) ON COMMIT DROP;
  CREATE TEMPORARY TABLE stage_preferred (description text COLLATE "C", refset text) ON COMMIT DROP;
`;

/** The reference set of American English, which most releases have. */
const AMERICAN = '900000000000509007';

/**
 * What a concept is called: the synonym preferred in the language, of the American reference set before others, else its fully specified
 * name, else any description. The others become designations.
 */
async function nameConcepts(into: Staging, language: string): Promise<void> {
  await into.client.query(
    'CREATE INDEX ON stage_preferred (description); ANALYZE stage_preferred, stage_description',
  );
  await into.client.query(
    'CREATE TEMPORARY TABLE stage_named (code text COLLATE "C", id text, term text) ON COMMIT DROP',
  );
  await into.client.query(NAME, [language]);
  await into.client.query('CREATE INDEX ON stage_named (code); ANALYZE stage_named');
  await into.client.query(DISPLAY);
  await into.client.query(DEFINITION, [language]);
  await into.client.query(DESIGNATIONS);
}

const NAME = `
  INSERT INTO stage_named SELECT DISTINCT ON (d.code) d.code, d.id, d.term FROM stage_description d
    LEFT JOIN (
      SELECT description, bool_or(refset = '${AMERICAN}') AS american FROM stage_preferred GROUP BY description
    ) preferred ON preferred.description = d.id
  ORDER BY d.code, (split_part(d.language, '-', 1) = $1) DESC,
    (preferred.description IS NOT NULL AND NOT d.specified) DESC, coalesce(preferred.american, false) DESC,
    d.specified DESC, d.id`;
const DISPLAY = `
  UPDATE stage_concept SET display = coalesce((SELECT term FROM stage_named named WHERE named.code = stage_concept.code), code)`;
/** Of several languages the one asked for; a concept may have more than one text. */
const DEFINITION = `
  UPDATE stage_concept SET definition = chosen.term FROM (
    SELECT DISTINCT ON (code) code, string_agg(term, E'\\n' ORDER BY id) AS term FROM stage_definition
    GROUP BY code, language ORDER BY code, (split_part(language, '-', 1) = $1) DESC, language
  ) chosen WHERE chosen.code = stage_concept.code`;
const DESIGNATIONS = `
  INSERT INTO stage_designation (code, language, use_system, use_code, use_display, value)
    SELECT d.code, d.language, '${SNOMED_SYSTEM}',
      CASE WHEN specified THEN '${FULLY_SPECIFIED}' ELSE '${SYNONYM}' END,
      CASE WHEN specified THEN 'Fully specified name' ELSE 'Synonym' END, d.term
    FROM stage_description d LEFT JOIN stage_named named ON named.id = d.id WHERE named.id IS NULL`;
