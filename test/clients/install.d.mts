export const CLIENTS: string;
export const ROOT: string;
export const PYTHON_VERSIONS: string[];
export const PYTHON_WITH_ROUTINES: string[];
export const PYTHON_WITH_THREADS: string;
export const SCHEMATHESIS: string;
export function pythonOf(version: string): string;
export function installJavaScript(): Promise<void>;
export function installPython(): Promise<string | undefined>;
