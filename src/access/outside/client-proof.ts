import { CLIENT_KEY_ALGORITHMS, type ClientKeyAlgorithm, type SigningKeys } from '../signing-key.ts';
import type { ClientThere } from './code-flow.ts';
import { signAssertion } from './sign-assertion.ts';

/** How we prove to somebody else's authorization server who we are: by a secret, by a key of ours, or (both null) by our id alone. */
export interface ClientProof {
  readonly clientSecret: string | null;
  /** We sign an assertion with a key of ours of this kind; null: we do not. */
  readonly clientAlgorithm: ClientKeyAlgorithm | null;
}

/** Out of an entry of a setting. @throws Error for both at once, and for what is neither */
export function readProof(entry: Readonly<Record<string, unknown>>): ClientProof {
  const { clientSecret, clientAlgorithm } = entry;
  if (clientSecret !== undefined && (typeof clientSecret !== 'string' || clientSecret === ''))
    throw new Error('clientSecret');
  const algorithm = CLIENT_KEY_ALGORITHMS.find((one) => one === clientAlgorithm) ?? null;
  if (clientAlgorithm !== undefined && (algorithm === null || clientSecret !== undefined))
    throw new Error('clientAlgorithm');
  return { clientSecret: clientSecret ?? null, clientAlgorithm: algorithm };
}

/** Us, as the other side knows us. `audience` of what we sign: left out, the token endpoint. */
export function clientThere(
  { clientId, clientSecret, clientAlgorithm }: ClientProof & { readonly clientId: string },
  redirectUri: string,
  ours: SigningKeys,
  audience?: string,
): ClientThere {
  return {
    clientId,
    clientSecret,
    redirectUri,
    ...(clientAlgorithm === null
      ? {}
      : { sign: (endpoint) => signAssertion(clientId, audience ?? endpoint, ours, clientAlgorithm) }),
  };
}
