import type { Sql } from '../../database/database.ts';
import { Failure } from '../../kernel/errors.ts';
import type { SiteDefinition } from './read-site-parameter.ts';

export interface SiteParameterRow {
  readonly id: string;
  readonly definition: SiteDefinition;
  readonly active: boolean;
}

/** Parameters of a site's own: every write looks at those of its type. */
export const SITE_PARAMETERS_MAX = 200;

/** The search parameters of the site's own that are in use, with the run that indexes each. */
export class SiteParameterStore {
  async all(sql: Sql): Promise<SiteParameterRow[]> {
    const rows = await sql.run<{ id: string; definition: string; active: boolean }>(ALL);
    return rows.map(({ id, definition, active }) => ({
      id,
      active,
      definition: JSON.parse(definition) as SiteDefinition,
    }));
  }

  /**
   * Takes a parameter into use; false when it is in use as it is. Throws `fhir.invalid` when another one has its code for one of
   * its types, or there are too many.
   */
  async announce(sql: Sql, id: string, definition: SiteDefinition): Promise<boolean> {
    // One after the other, so that two cannot take the same code at once.
    await sql.run(LOCK);
    const all = await this.all(sql);
    const text = JSON.stringify(definition);
    if (all.some((one) => one.id === id && JSON.stringify(one.definition) === text)) return false;
    const others = all.filter((one) => one.id !== id);
    const clash = others.some(
      (one) =>
        one.definition.code === definition.code &&
        one.definition.base.some((type) => definition.base.includes(type)),
    );
    if (clash)
      throw new Failure(
        'fhir.invalid',
        'Another active SearchParameter has this code for one of these types.',
      );
    if (others.length >= SITE_PARAMETERS_MAX)
      throw new Failure(
        'fhir.invalid',
        `This server takes ${SITE_PARAMETERS_MAX} search parameters of your own at most.`,
      );
    await sql.run(ANNOUNCE, [id, text]);
    return true;
  }

  async setRun(sql: Sql, id: string, run: string): Promise<void> {
    await sql.run(SET_RUN, [id, run]);
  }

  /** Everything is indexed. Nothing happens when a later run indexes the parameter again, or it was retired. */
  async activate(sql: Sql, run: string): Promise<void> {
    await sql.run(ACTIVATE, [run]);
  }

  async retire(sql: Sql, id: string): Promise<void> {
    await sql.run(RETIRE, [id]);
  }
}

const ALL = {
  name: 'fhir-site-parameters',
  text: 'SELECT id, definition, active FROM site_parameter ORDER BY id',
};
const LOCK = { text: 'LOCK TABLE site_parameter IN SHARE ROW EXCLUSIVE MODE' };
const ANNOUNCE = {
  text: `INSERT INTO site_parameter (id, definition, active) VALUES ($1, $2, false)
    ON CONFLICT (id) DO UPDATE SET definition = $2, active = false, announced_at = now(), run = NULL`,
};
const SET_RUN = { text: 'UPDATE site_parameter SET run = $2 WHERE id = $1' };
const ACTIVATE = { text: 'UPDATE site_parameter SET active = true WHERE run = $1' };
const RETIRE = { text: 'DELETE FROM site_parameter WHERE id = $1' };
