import type { Resource } from '@medplum/fhirtypes';
import { lastKnown } from '../kernel/last-known.ts';
import { parseJson } from './resource-json.ts';

/** One version of a resource as stored. `json` is the text that is answered; it is parsed only when somebody asks. */
export class StoredResource {
  #parsed: Resource | undefined;
  #lastUpdated: Date | null;

  constructor(
    readonly type: string,
    readonly id: string,
    /** Whole number from 1, as text, as in `meta.versionId`. */
    readonly versionId: string,
    /** Null: as it stands in the text, which is read when somebody asks. */
    lastUpdated: Date | null,
    /** A deletion is a version too; its `json` is empty. */
    readonly deleted: boolean,
    readonly json: string,
    /** The interaction that made this version. */
    readonly method: 'POST' | 'PUT' | 'DELETE',
  ) {
    this.#lastUpdated = lastUpdated;
  }

  get lastUpdated(): Date {
    this.#lastUpdated ??= new Date(this.parse().meta?.lastUpdated ?? Number.NaN);
    return this.#lastUpdated;
  }

  /** The parsed resource, parsed once. Shared: copy it before you change it. Throws for a deleted version. */
  parse<T extends Resource = Resource>(): T {
    this.#parsed ??= parseJson(this.json) as Resource;
    return this.#parsed as T;
  }
}

/** The instant of a version as FHIR and PostgreSQL read it; all that one transaction writes has the same. */
export const instantText = lastKnown((at: Date) => at.toISOString());

/** A row of `resource` or `resource_version`. */
export interface ResourceRow {
  readonly type: string;
  readonly id: string;
  readonly version: number;
  readonly last_updated: Date;
  readonly deleted: boolean;
  readonly method: 'POST' | 'PUT' | 'DELETE';
  readonly content: string;
}

/** The columns of `ResourceRow`, and the same of the row `r`. */
export const ROW_COLUMNS = [
  'type',
  'id',
  'version',
  'last_updated',
  'deleted',
  'method',
  'content',
] as const satisfies readonly (keyof ResourceRow)[];
export const COLUMNS_OF_R = ROW_COLUMNS.map((column) => `r.${column}`).join(', ');

export function rowToStored(row: ResourceRow): StoredResource {
  return new StoredResource(
    row.type,
    row.id,
    String(row.version),
    row.last_updated,
    row.deleted,
    row.content,
    row.method,
  );
}

/** What a search gives of a match, which is never deleted. */
export type FoundRow = Pick<ResourceRow, 'type' | 'id' | 'version' | 'method' | 'content'>;

export const foundToStored = ({ type, id, version, content, method }: FoundRow): StoredResource =>
  new StoredResource(type, id, String(version), null, false, content, method);
