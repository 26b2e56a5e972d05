import type { Resource } from '@medplum/fhirtypes';
import type { Sql } from '../database/database.ts';
import type { AccessContext, Granted } from './access-context.ts';

/** Who sent a request, where work must go on after its answer: kept with the job and compared when its status is asked for. */
export interface Caller extends Granted {
  readonly clientId: string;
}

/** One interaction as the interactions see it: the same for a request and for an entry of a batch. */
export interface FhirRequest {
  readonly method: string;
  /** Below the FHIR base, decoded: `['Patient', '1', '_history']`. */
  readonly path: readonly string[];
  readonly query: URLSearchParams;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Buffer | undefined;
  /** The body already parsed, not validated: an entry of a Bundle was parsed with its Bundle. Then there is no `body`. */
  readonly resource?: Resource;
  readonly access: AccessContext;
  /** Absent for an entry of a Bundle. */
  readonly caller?: Caller;
  /** A request of its own, not an entry of a Bundle: its answer may be something other than FHIR JSON. */
  readonly sentAlone?: boolean;
  /** Set inside a transaction Bundle: read here what it wrote. */
  readonly sql?: Sql;
}

export interface FhirAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** FHIR JSON as text; bytes with a media type in `headers` (a Binary in its native form); null: no body. */
  readonly body: string | Buffer | null;
}

/** R4 http.html#ops: what `Prefer: return=` asks for. */
export type PreferReturn = 'minimal' | 'representation' | 'OperationOutcome';

/** RFC 7240. Without a wish the resource is given back, as most clients expect. */
export function preferReturn(request: FhirRequest): PreferReturn {
  const wish = /(?:^|[,;\s])return=(minimal|representation|OperationOutcome)\b/.exec(
    request.headers['prefer'] ?? '',
  );
  return (wish?.[1] as PreferReturn | undefined) ?? 'representation';
}

export const preferLenient = (request: Pick<FhirRequest, 'headers'>): boolean =>
  /(?:^|[,;\s])handling=lenient\b/.test(request.headers['prefer'] ?? '');
