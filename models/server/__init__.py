"""Models behind an HTTP server that speaks the OpenAI API: vLLM, SGLang, llama.cpp, Ollama and their kind."""
