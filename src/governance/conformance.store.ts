import { Injectable } from '@nestjs/common';
import { Database, type Sql, type Transaction } from '../database/database.ts';

/** Scanners that are told apart. A hospital has some hundred; a peer that makes up names must not fill the store. */
export const SCANNERS_MAX = 2_000;

export type GateOutcome = 'passed' | 'warned' | 'refused';

export interface AnalysisEnd {
  readonly taskId: string;
  readonly at: Date;
  readonly scanner: string;
  /** `<id>@<version>` */
  readonly model: string;
  readonly outcome: GateOutcome;
  /** Those that refused, or that warned. */
  readonly rules: readonly string[];
}

export interface StudyConformance {
  /** Hash of the Study Instance UID: one row per study and protocol, whatever asks how often. */
  readonly studyKey: string;
  readonly protocol: string;
  readonly version: string;
  readonly at: Date;
  readonly scanner: string;
  readonly deviations: readonly string[];
  readonly notStated: readonly string[];
}

/** One cell of a report. `by`: a rule, an outcome, a parameter or a month (`2026-11`), by what was asked. */
export interface CountRow {
  readonly group: string;
  readonly scanner: string;
  readonly by: string;
  readonly count: number;
}

/** Verdicts of the gate and conformance to protocols, one small row each; counted when somebody asks. */
@Injectable()
export class ConformanceStore {
  constructor(private readonly database: Database) {}

  /** False: there are `SCANNERS_MAX` others already. */
  async addScanner(tx: Sql, id: string, at: Date): Promise<boolean> {
    return (await tx.run(ADD_SCANNER, [id, at, SCANNERS_MAX])).length > 0;
  }

  async putAnalysis(tx: Transaction, row: AnalysisEnd): Promise<void> {
    const values = [row.taskId, row.at, row.scanner, row.model, row.outcome, row.rules];
    if (tx.later) tx.later(PUT_ANALYSIS, values);
    else await tx.run(PUT_ANALYSIS, values);
  }

  async putConformance(tx: Transaction, row: StudyConformance): Promise<void> {
    const values = [
      row.studyKey,
      row.protocol,
      row.version,
      row.at,
      row.scanner,
      row.deviations,
      row.notStated,
    ];
    if (tx.later) tx.later(PUT_CONFORMANCE, values);
    else await tx.run(PUT_CONFORMANCE, values);
  }

  /** Analyses by scanner and outcome; `group` is empty. */
  outcomes(from: Date, until: Date): Promise<CountRow[]> {
    return this.database.run(OUTCOMES, [from, until]);
  }

  /** Analyses by scanner and rule; `group` is the outcome. */
  rules(from: Date, until: Date): Promise<CountRow[]> {
    return this.database.run(RULES, [from, until]);
  }

  /** Studies by protocol (`<id>|<version>`), scanner and month; `by` is `2026-11|conforms`, `|deviates` or `|not-stated`. */
  studies(from: Date, until: Date): Promise<CountRow[]> {
    return this.database.run(STUDIES, [from, until]);
  }

  /** Deviating parameters by protocol (`<id>|<version>`) and scanner. */
  deviations(from: Date, until: Date): Promise<CountRow[]> {
    return this.database.run(DEVIATIONS, [from, until]);
  }

  async prune(before: Date): Promise<void> {
    await this.database.run(PRUNE_ANALYSES, [before]);
    await this.database.run(PRUNE_CONFORMANCE, [before]);
  }
}

const ADD_SCANNER = {
  name: 'gate-scanner-add',
  text: `WITH added AS (
      INSERT INTO gate_scanner (id, first_seen_at)
      SELECT $1, $2 WHERE (SELECT count(*) FROM gate_scanner) < $3
      ON CONFLICT (id) DO NOTHING RETURNING id)
    SELECT id FROM added UNION ALL SELECT id FROM gate_scanner WHERE id = $1`,
};

const PUT_ANALYSIS = {
  name: 'gate-analysis-put',
  text: `INSERT INTO gate_analysis (task_id, at, scanner, model, outcome, rules) VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (task_id) DO UPDATE SET at = excluded.at, scanner = excluded.scanner, model = excluded.model,
      outcome = excluded.outcome, rules = excluded.rules`,
};

const PUT_CONFORMANCE = {
  name: 'protocol-conformance-put',
  text: `INSERT INTO protocol_conformance (study_key, protocol, version, at, scanner, deviations, not_stated)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (study_key, protocol) DO UPDATE SET version = excluded.version, scanner = excluded.scanner,
      deviations = excluded.deviations, not_stated = excluded.not_stated`,
};

const OUTCOMES = {
  name: 'gate-outcomes',
  text: `SELECT '' AS "group", scanner, outcome AS "by", count(*)::int AS count FROM gate_analysis
    WHERE at >= $1 AND at < $2 GROUP BY scanner, outcome ORDER BY scanner, outcome`,
};

const RULES = {
  name: 'gate-rules',
  text: `SELECT outcome AS "group", scanner, rule AS "by", count(*)::int AS count FROM gate_analysis, unnest(rules) AS rule
    WHERE at >= $1 AND at < $2 GROUP BY outcome, scanner, rule ORDER BY outcome, scanner, count(*) DESC, rule`,
};

const STUDIES = {
  name: 'protocol-studies',
  text: `SELECT protocol || '|' || version AS "group", scanner, month || '|' || state AS "by", count(*)::int AS count
    FROM (SELECT protocol, version, scanner, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM') AS month,
        CASE WHEN cardinality(deviations) > 0 THEN 'deviates' WHEN cardinality(not_stated) > 0 THEN 'not-stated' ELSE 'conforms' END AS state
      FROM protocol_conformance WHERE at >= $1 AND at < $2) AS judged
    GROUP BY protocol, version, scanner, month, state ORDER BY protocol, version, scanner, month, state`,
};

const DEVIATIONS = {
  name: 'protocol-deviations',
  text: `SELECT protocol || '|' || version AS "group", scanner, parameter AS "by", count(*)::int AS count
    FROM protocol_conformance, unnest(deviations) AS parameter
    WHERE at >= $1 AND at < $2 GROUP BY protocol, version, scanner, parameter ORDER BY protocol, version, scanner, count(*) DESC, parameter`,
};

const PRUNE_ANALYSES = { name: 'gate-analysis-prune', text: 'DELETE FROM gate_analysis WHERE at < $1' };
const PRUNE_CONFORMANCE = {
  name: 'protocol-conformance-prune',
  text: 'DELETE FROM protocol_conformance WHERE at < $1',
};
