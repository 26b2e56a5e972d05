import type { FhirServer } from './fhir-server.ts';

/** One thing a server must do. */
export interface Check {
  readonly title: string;
  run(server: FhirServer): Promise<void>;
}

/** The checks of one interaction or one kind of search. */
export interface Group {
  readonly name: string;
  /** The page of FHIR R4 that asks for it. */
  readonly clause: string;
  readonly checks: readonly Check[];
}

/** `fill` adds checks in order. */
export function group(
  name: string,
  clause: string,
  fill: (check: (title: string, run: Check['run']) => void) => void,
): Group {
  const checks: Check[] = [];
  fill((title, run) => checks.push({ title, run }));
  return { name, clause, checks };
}

/** Made once, by the first check that needs it; the others wait for the same. */
export function once<T>(make: (server: FhirServer) => Promise<T>): (server: FhirServer) => Promise<T> {
  const made = new WeakMap<FhirServer, Promise<T>>();
  return (server) => {
    const found = made.get(server) ?? make(server);
    made.set(server, found);
    return found;
  };
}
