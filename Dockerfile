# The dashboard and the command line, for CPUs. Not built where it was written.
FROM python:3.11-slim
WORKDIR /app
COPY requirements.lock .
# Every file by its hash, torch for CPUs included, which comes from PyTorch's own index.
RUN pip install --no-cache-dir --require-hashes --extra-index-url https://download.pytorch.org/whl/cpu \
    -r requirements.lock
# .dockerignore lets in what the app is made of, and nothing else.
COPY . .
# The visitor may not write here, and without this every process would compile all of it again.
RUN python -m compileall -q app.py emap_core pages
RUN useradd --create-home visitor && mkdir /runs && chown visitor /runs
USER visitor
ENV EMAP_RUNS=/runs
EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD \
    ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=4)"]
# Beyond this computer the dashboard shows finished runs only; EMAP_MODE=full says otherwise.
CMD ["streamlit", "run", "app.py", "--server.address=0.0.0.0", "--server.headless=true"]
