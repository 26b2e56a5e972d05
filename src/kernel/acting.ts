import { AsyncLocalStorage } from 'node:async_hooks';

/** Who does something, as the audit names them. */
export interface Actor {
  /** Id of the client (an application), or a name of one of the server's own parts: `prelim/inference`. */
  readonly client: string;
  /** The person, where one signed in: claim `fhirUser` (`Practitioner/1`) or `sub`. */
  readonly person?: string;
  readonly roles?: readonly string[];
  /** Claim `jti` of the access token. */
  readonly tokenId?: string;
  /** A code of the HL7 PurposeOfUse value set. */
  readonly purpose?: string;
  /** Network address that the request came from. */
  readonly address?: string;
  /** Joins all that one request did. */
  readonly request?: string;
}

/** What one request, message or job does, gathered while it runs. */
export interface Acting {
  /** Asked late: a request is known before its token is looked at. */
  readonly actor: () => Actor;
  /** Resources written and audited in their transaction. */
  written: number;
  /** Texts of resources that were shown in part only, so that the answer itself need not name their patient. */
  readonly shown: string[];
  /** It has ended: what still runs because of it is the server's own work. */
  ended: boolean;
}

const now = new AsyncLocalStorage<Acting>();

/** Runs `work`; whoever asks meanwhile learns who it is for. */
export const actAs = <T>(acting: Acting, work: () => T): T => now.run(acting, work);

/** Runs `work` as a part of the server itself: a job that a request set off is not done by the client of that request. */
export const actAsServer = <T>(part: string, work: () => T): T => {
  const actor: Actor = { client: `${SERVER_CLIENT}/${part}` };
  return now.run({ actor: () => actor, written: 0, shown: [], ended: false }, work);
};

/** What runs now; null for the server's own work. */
export function actingNow(): Acting | null {
  const acting = now.getStore();
  return acting && !acting.ended ? acting : null;
}

/** The stored text of a resource of which only a part goes into an answer. */
export function noteShown(text: string): void {
  actingNow()?.shown.push(text);
}

/** The server, where it acts for itself. */
export const SERVER_CLIENT = 'prelim';
