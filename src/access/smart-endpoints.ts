import type { CapabilityStatementRestSecurity } from '@medplum/fhirtypes';
import type { OutsideIssuer } from './outside/outside-issuers.ts';

const OAUTH_URIS = 'http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris';

/** Where things are: ours, or for sign-in and tokens those of the outside server that the operator puts in front. */
export function smartEndpoints(baseUrl: string, issuers: readonly OutsideIssuer[]): Record<string, string> {
  const front = issuers.find((one) => one.authorizationEndpoint && one.tokenEndpoint);
  const own = `${baseUrl}/auth`;
  return {
    authorization_endpoint: front?.authorizationEndpoint ?? `${own}/authorize`,
    token_endpoint: front?.tokenEndpoint ?? `${own}/token`,
    introspection_endpoint: `${own}/introspect`,
    revocation_endpoint: `${own}/revoke`,
  };
}

/** `rest.security` of the CapabilityStatement (SMART App Launch 2.2 "Declare support", and the extension older clients read). */
export function smartSecurity(
  baseUrl: string,
  issuers: readonly OutsideIssuer[],
): CapabilityStatementRestSecurity {
  const endpoints = smartEndpoints(baseUrl, issuers);
  const part = (url: string, name: string) => ({ url, valueUri: String(endpoints[name]) });
  return {
    cors: true,
    service: [
      {
        coding: [
          {
            system: 'http://terminology.hl7.org/CodeSystem/restful-security-service',
            code: 'SMART-on-FHIR',
          },
        ],
      },
    ],
    extension: [
      {
        url: OAUTH_URIS,
        extension: [
          part('authorize', 'authorization_endpoint'),
          part('token', 'token_endpoint'),
          part('introspect', 'introspection_endpoint'),
          part('revoke', 'revocation_endpoint'),
        ],
      },
    ],
  };
}
