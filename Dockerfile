# The dashboard and the command line, for CPUs. Not built where it was written.
FROM python:3.11-slim
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
COPY . .
RUN useradd --create-home visitor && mkdir /runs && chown visitor /runs
USER visitor
ENV EMAP_RUNS=/runs
EXPOSE 8501
# Beyond this computer the dashboard shows finished runs only; EMAP_MODE=full says otherwise.
CMD ["streamlit", "run", "app.py", "--server.address=0.0.0.0", "--server.headless=true"]
