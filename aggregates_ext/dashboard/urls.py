"""Where the pages of the panel are."""

from django.urls import re_path

from aggregates_ext.dashboard import changes
from aggregates_ext.dashboard import views

POOL = r'^(?P<aggregate_id>[1-9][0-9]{0,17})/'
# As the API takes names of hosts.
HOST = POOL + r'hosts/(?P<host>[A-Za-z0-9_.-]{1,255})/'
OPERATION = POOL + r'operations/(?P<operation>[0-9a-f-]{36})/'

urlpatterns = [
    re_path(r'^$', views.IndexView.as_view(), name='index'),
    re_path(POOL + '$', views.PoolView.as_view(), name='pool'),
    re_path(OPERATION + '$', views.OperationView.as_view(), name='operation'),
    re_path(
        OPERATION + '(?P<verb>retry|cancel|continue)/$',
        changes.AgainView.as_view(),
        name='again',
    ),
    re_path(POOL + 'add/$', changes.AddView.as_view(), name='add'),
    re_path(POOL + 'rolling/$', changes.RollingView.as_view(), name='rolling'),
    re_path(HOST + 'check/$', changes.CheckView.as_view(), name='check'),
    re_path(HOST + 'remove/$', changes.RemoveView.as_view(), name='remove'),
    re_path(HOST + 'enter/$', changes.EnterView.as_view(), name='enter'),
    re_path(HOST + 'leave/$', changes.LeaveView.as_view(), name='leave'),
]
