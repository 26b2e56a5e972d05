import { Injectable } from '@nestjs/common';
import { Database, type Sql } from '../database/database.ts';
import type { ModelRelease, ModelState } from './model-release.ts';

interface Row {
  readonly model: string;
  readonly state: ModelState;
  readonly at: Date;
  readonly released_by: string;
  readonly reason: string;
  readonly sha256: string;
  readonly proof: string;
}

/** Changes of state, newest last; nothing is changed or taken away. */
@Injectable()
export class ModelReleaseStore {
  constructor(private readonly database: Database) {}

  async add(sql: Sql, { model, state, at, by, reason, sha256, proof }: ModelRelease): Promise<void> {
    const text = `INSERT INTO model_release (model, state, at, released_by, reason, sha256, proof)
      VALUES ($1, $2, $3, $4, $5, $6, $7)`;
    await sql.run({ text }, [model, state, at, by, reason, sha256, proof]);
  }

  /** The newest change of each model. */
  async current(): Promise<ReadonlyMap<string, ModelRelease>> {
    const text = `SELECT DISTINCT ON (model) model, state, at, released_by, reason, sha256, proof
      FROM model_release ORDER BY model, number DESC`;
    const rows = await this.database.run<Row>({ name: 'model-release-current', text });
    return new Map(rows.map((row) => [row.model, toRelease(row)]));
  }

  /** All changes of one model, oldest first. */
  async historyOf(model: string): Promise<readonly ModelRelease[]> {
    const text = `SELECT model, state, at, released_by, reason, sha256, proof
      FROM model_release WHERE model = $1 ORDER BY number`;
    return (await this.database.run<Row>({ text }, [model])).map(toRelease);
  }
}

const toRelease = ({ released_by: by, ...row }: Row): ModelRelease => ({ ...row, by });
