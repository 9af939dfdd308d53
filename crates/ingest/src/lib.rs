//! Pure decoders: bytes of every protocol to items and refusals.
