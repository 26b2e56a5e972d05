/** Injection tokens of this folder. */
export const CLIENTS = Symbol('Clients');
export const SIGNING_KEY = Symbol('SigningKey');
export const OPEN_ID = Symbol('OpenIdProvider');
export const EHRS = Symbol('Ehrs');
export const OUTSIDE_ISSUERS = Symbol('OutsideIssuers');
export const OPERATOR_KEYS = Symbol('KeysOfWhatTheOperatorNamed');
/** What each role may do. */
export const ACCESS_ROLES = Symbol('AccessRoles');
