import requests  # bad
import urllib.request  # bad
import urllib3  # bad
import socket  # bad
from http.client import HTTPSConnection  # bad
from http import client  # bad
from urllib import request  # bad
from urllib.parse import urlsplit
from django.http import HttpRequest
from callbacks import connector
