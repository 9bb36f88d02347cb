/**
 * The WASM core: compressed with deflate, as Base64. The build fills it in.
 *
 * @internal
 */
export const MODULE_TEXT: string = '';
