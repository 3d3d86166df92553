export type EcPreKey = { readonly keyId: number; readonly publicKey: Uint8Array }
/** A pre-key with the identity key's signature: EC, or KEM. */
export type SignedPreKey = EcPreKey & { readonly signature: Uint8Array }
