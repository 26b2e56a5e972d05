/** Injection tokens of this folder. */
export const CLIENTS = Symbol('Clients');
export const SIGNING_KEY = Symbol('SigningKey');
