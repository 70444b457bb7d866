export const CLIENTS: string;
export const ROOT: string;
export const PYTHON_VERSIONS: string[];
export const SCHEMATHESIS: string;
export function pythonOf(version: string): string;
export function installJavaScript(): void;
export function installPython(): string | undefined;
