# The dashboard and the command line, for CPUs. Not built where it was written.
FROM python:3.11-slim
WORKDIR /app
COPY requirements.txt requirements.lock .
# The lock has every package but torch, whose builds differ by machine: that one is pinned by its
# version alone, and brings along what its build needs.
RUN pip install --no-cache-dir --require-hashes --no-deps -r requirements.lock \
 && pip install --no-cache-dir -r requirements.txt
# .dockerignore lets in what the app is made of, and nothing else.
COPY . .
RUN useradd --create-home visitor && mkdir /runs && chown visitor /runs
USER visitor
ENV EMAP_RUNS=/runs
EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD \
    ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=4)"]
# Beyond this computer the dashboard shows finished runs only; EMAP_MODE=full says otherwise.
CMD ["streamlit", "run", "app.py", "--server.address=0.0.0.0", "--server.headless=true"]
